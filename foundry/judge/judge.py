"""The judge: one kernel in, one `Evaluation` out. Runs in the trusted process.

1. parse      text -> Kernel, bound to every workload it will meet        invalid
2. screen     the sanitizer on the smallest visible workload              sanitizer_error
3. build      the visible programs                                        build_error
4. verify     visible workloads under several distributions, proof of     wrong_result, crash,
              execution; then hidden and bench programs, built now        timeout, rejected
5. benchmark  paired timing on the bench workloads, alone on the device   rejected, correct, faster

Cheap stages come first and a kernel stops at its first failure. The worker gets input bytes and
gives output bytes and raw timings; oracle, bounds and verdict never leave this process.

Ownership: `candidate` is the kernel on its way, `inputs` draws, `bounds` and `compare` decide what
is right, `references` keeps what is known before a kernel runs, `stages` screens and builds,
`verify` and `proof` run it, `benchmark` and `statistics` make speedups, `wording` makes sentences;
`foundry.harness` owns processes and locks.
"""

from __future__ import annotations

import secrets

from foundry.harness.jobs import Crash, Timeout
from foundry.harness.pool import WorkerPool
from foundry.judge.benchmark import Baselines, timing_job, timing_of
from foundry.judge.candidate import Candidate, Failed, Target, prepare
from foundry.judge.options import JudgeOptions, bench_workloads
from foundry.judge.references import References
from foundry.judge.stages import Walk, build_rest, build_visible, screen, stopped
from foundry.judge.verdict import Diagnostic, Evaluation, Status
from foundry.judge.verify import hold, prove, verify
from foundry.kernel import Kernel, render
from ops.spec import Op

_SEED_BITS = 48
_TIMED_SETS = ("normal", "negated")
"""Distributions that timed calls rotate over."""


class Judge:
    """Judges kernels on the workers of a pool. Safe to use from several threads at once.

    Args:
        pool: Workers of the engine that kernels run on.
        options: What to run and how long.
        secret: The seed of inputs; drawn from the system where it is None.
    """

    def __init__(
        self, pool: WorkerPool, options: JudgeOptions | None = None, secret: int | None = None
    ) -> None:
        self._pool = pool
        self._options = options or JudgeOptions()
        self._references = References(pool)
        self._baselines = Baselines(pool)
        self.seed = secrets.randbits(_SEED_BITS) if secret is None else secret

    def evaluate(
        self, kernel: Kernel | str, op: Op, dtype: str, seed: int | None = None
    ) -> Evaluation:
        """Judge one kernel.

        Args:
            kernel: A kernel, or the text of a kernel file, which may be broken.
            op: The op it must compute.
            dtype: Element type of the workloads.
            seed: Draws inputs. None: a secret one that this judge drew when it was made. Either
                way the evaluation records it.

        Raises:
            UsageError: Unknown dtype or bench label.
            EnvironmentUnusable: Engine, oracle or every baseline is unusable here.
        """
        text = kernel if isinstance(kernel, str) else render(kernel)
        bench_workloads(op, dtype, self._options.bench)
        candidate = Candidate(text, op, dtype, self.seed if seed is None else seed)
        device_id = self._pool.device().id
        failed = self._walk(candidate)
        status = failed.status if failed else Status.CORRECT
        evaluation = Evaluation(
            kernel_hash=candidate.kernel_hash,
            op=op.name,
            dtype=dtype,
            device_id=device_id,
            status=status,
            diagnostics=(failed.diagnostic,) if failed else (),
            errors=tuple(candidate.errors.values()),
            timings=() if failed else tuple(candidate.timings),
            stage_ms=candidate.stage_ms,
            seed=candidate.seed,
        )
        faster = evaluation.score is not None and evaluation.score > 1.0
        return evaluation.model_copy(update={"status": Status.FASTER}) if faster else evaluation

    def _walk(self, candidate: Candidate) -> Failed | None:
        with candidate.stage("parse"):
            failed = prepare(candidate, self._options)
        if failed:
            return failed
        with self._pool.lease() as worker:
            walk = Walk(candidate, worker, self._references, self._options)
            with self._pool.lock.shared():
                failed = self._prove(walk)
            if failed or not self._options.timed:
                return failed
            for index, target in enumerate(candidate.bench, len(candidate.hidden)):
                program = walk.first_of_rest + index
                if failed := self._benchmark(walk, target, program):
                    return failed
        return None

    def _prove(self, walk: Walk) -> Failed | None:
        candidate, path = walk.candidate, self._options.screen
        return (
            (screen(walk, path) if path else None)
            or build_visible(walk)
            or verify(walk, candidate.visible, first=0)
            or prove(walk)
            or build_rest(walk)
            or verify(walk, candidate.rest, first=walk.first_of_rest)
        )

    def _benchmark(self, walk: Walk, target: Target, program: int) -> Failed | None:
        candidate, options = walk.candidate, self._options
        op, workload = candidate.op, target.workload
        with candidate.stage("oracle"):
            sets = tuple(self._references.get(op, workload, d, candidate.seed) for d in _TIMED_SETS)
        with candidate.stage("wait"):
            lock = self._pool.lock.exclusive()
            lock.__enter__()
        try:
            with candidate.stage("benchmark"):
                baseline = self._baselines.fastest(sets[0])
                job = timing_job(sets, program, baseline, options.plan)
                found = walk.worker.ask(job, options.time_limit_s)
        finally:
            lock.__exit__(None, None, None)
        if isinstance(found, Timeout | Crash):
            return stopped(found, "benchmark", target)
        for reference, outputs in zip(sets, found.outputs, strict=True):
            if failed := hold(candidate, target, reference, outputs):
                return _rejected(f"its timed calls went wrong: {failed.diagnostic.message}", target)
        try:
            timing = timing_of(op, workload, baseline, found, candidate.seed)
        except ValueError as error:
            return _rejected(f"its times are impossible: {error}.", target)
        candidate.timings.append(timing)
        return None


def _rejected(message: str, target: Target) -> Failed:
    said = Diagnostic(stage="benchmark", message=message, workload=target.workload.id)
    return Failed(Status.REJECTED, said)
