"""The judge: one kernel in, one `Evaluation` out. Runs in the trusted process.

1. parse      text -> Kernel, bound to every workload it will meet        invalid
2. screen     the sanitizer on the smallest visible workload              sanitizer_error
3. build      the visible programs                                        build_error
4. verify     visible workloads under several distributions; then the     wrong_result, crash,
              hidden and bench programs are built and verified            timeout
5. benchmark  paired timing on the bench workloads, alone on the device   rejected, correct, faster

Cheap stages come first and a kernel stops at its first failure. The worker gets input bytes and
gives output bytes and raw timings; oracle, bounds and verdict never leave this process.

Ownership: `candidate` is the kernel on its way, `inputs` draws, `bounds` and `compare` decide what
is right, `references` keeps what is known before a kernel runs, `stages` runs it, `benchmark` and
`statistics` make speedups, `wording` makes sentences; `foundry.harness` owns processes and locks.
"""

from __future__ import annotations

from foundry.harness.jobs import Crash, Timeout
from foundry.harness.pool import WorkerPool
from foundry.harness.process import WorkerProcess
from foundry.judge import stages
from foundry.judge.benchmark import Baselines, timing_job, timing_of
from foundry.judge.candidate import Candidate, Failed, Target, prepare
from foundry.judge.compare import compare
from foundry.judge.options import JudgeOptions, bench_workloads
from foundry.judge.references import References, output_specs
from foundry.judge.verdict import Diagnostic, Evaluation, Status
from foundry.kernel import Kernel, render
from ops.spec import Op

_TIMED_SETS = ("normal", "negated")
"""Distributions that timed calls rotate over."""


class Judge:
    """Judges kernels on the workers of a pool. Safe to use from several threads at once.

    Args:
        pool: Workers of the engine that kernels run on.
        options: What to run and how long.
    """

    def __init__(self, pool: WorkerPool, options: JudgeOptions | None = None) -> None:
        self._pool = pool
        self._options = options or JudgeOptions()
        self._references = References(pool)
        self._baselines = Baselines(pool)

    def evaluate(self, kernel: Kernel | str, op: Op, dtype: str, seed: int) -> Evaluation:
        """Judge one kernel.

        Args:
            kernel: A kernel, or the text of a kernel file, which may be broken.
            op: The op it must compute.
            dtype: Element type of the workloads.
            seed: Draws inputs; equal seeds reuse them, so draw one per run and keep it secret.

        Raises:
            UsageError: Unknown dtype or bench label.
            EnvironmentUnusable: Engine, oracle or every baseline is unusable here.
        """
        text = kernel if isinstance(kernel, str) else render(kernel)
        bench_workloads(op, dtype, self._options.bench)
        candidate = Candidate(text, op, dtype, seed)
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
            seed=seed,
        )
        faster = evaluation.score is not None and evaluation.score > 1.0
        return evaluation.model_copy(update={"status": Status.FASTER}) if faster else evaluation

    def _walk(self, candidate: Candidate) -> Failed | None:
        with candidate.stage("parse"):
            failed = prepare(candidate, self._options)
        if failed:
            return failed
        with self._pool.lease() as worker:
            with self._pool.lock.shared():
                failed = self._prove(candidate, worker)
            if failed or not self._options.timed:
                return failed
            for target in candidate.bench:
                if failed := self._benchmark(candidate, worker, target):
                    return failed
        return None

    def _prove(self, candidate: Candidate, worker: WorkerProcess) -> Failed | None:
        references, options = self._references, self._options
        if options.screen:
            failed = stages.screen(candidate, worker, references, options.screen)
            if failed:
                return failed
        first = 0
        for targets in (candidate.visible, candidate.rest):
            failed = stages.build(candidate, worker, targets, options, keep=first > 0)
            failed = failed or stages.verify(
                candidate, worker, references, targets, options, first=first
            )
            if failed:
                return failed
            first += len(targets)
        return None

    def _benchmark(
        self, candidate: Candidate, worker: WorkerProcess, target: Target
    ) -> Failed | None:
        op, workload, seed = candidate.op, target.workload, candidate.seed
        with candidate.stage("oracle"):
            sets = tuple(self._references.get(op, workload, d, seed) for d in _TIMED_SETS)
        program = len(candidate.visible) + candidate.rest.index(target)
        with candidate.stage("wait"):
            lock = self._pool.lock.exclusive()
            lock.__enter__()
        try:
            with candidate.stage("benchmark"):
                baseline = self._baselines.fastest(sets[0])
                job = timing_job(sets, program, baseline, self._options.plan)
                found = worker.ask(job, self._options.time_limit_s)
        finally:
            lock.__exit__(None, None, None)
        if isinstance(found, Timeout | Crash):
            return stages.stopped(found, "benchmark", target)
        for reference, outputs in zip(sets, found.outputs, strict=True):
            for spec, want in zip(output_specs(op, workload), reference.expected, strict=True):
                difference = compare(spec, outputs.get(spec.name), want)
                if difference.fault:
                    return _rejected(
                        f"the timed calls left a wrong output '{spec.name}': {difference.fault}",
                        target,
                    )
        try:
            candidate.timings.append(timing_of(op, workload, baseline, found, seed))
        except ValueError as error:
            return _rejected(f"its times are impossible: {error}", target)
        return None


def _rejected(message: str, target: Target) -> Failed:
    said = Diagnostic(stage="benchmark", message=f"{message}.", workload=target.workload.id)
    return Failed(Status.REJECTED, said)
