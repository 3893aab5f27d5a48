"""The judge: one kernel in, one `Evaluation` out. Runs in the trusted process.

1. parse      text -> Kernel, bound to every workload it will meet        invalid
2. sanitize   the sanitizer on the largest visible workload               sanitizer_error
3. build      the visible programs                                        build_error
4. verify     visible workloads under several distributions, proof of     wrong_result, crash,
              execution; the sanitizer on all other sources and sizes;    timeout, rejected
              then hidden and bench programs, built now
5. benchmark  paired timing on the bench workloads, alone on the device   rejected, correct, faster
6. reach      every bench shape and sizes far beyond the lists, once;     wrong_result, timeout
              before it is faster, also the op's other dtypes: the record says in which it is right
7. plain names a kernel that calls `tanh` is run once more as a Mac may take it; it says so if wrong

Cheap stages come first and a kernel stops at its first failure. The worker gets input bytes and
gives output bytes and raw timings; oracle, bounds and verdict never leave this process.

Ownership: `candidate` is the kernel on its way; `oracle/` draws inputs and knows what is right;
`stages` builds; `proof/` screens the kernel, runs it and compares; `time/` makes speedups;
`wording` makes sentences; `foundry.harness` owns processes and locks.
"""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from dataclasses import replace

from foundry.harness.processes.pool import WorkerPool
from foundry.judge.candidate import Candidate, Failed, prepare
from foundry.judge.disturbed import Disturbed, await_recovery
from foundry.judge.options import (
    BEHIND,
    NOBODY,
    WHOLE_REACH_S,
    JudgeOptions,
    Rivals,
    bench_workloads,
)
from foundry.judge.oracle.references import References, op_file
from foundry.judge.proof.plain_names import look_at_plain_names
from foundry.judge.proof.reach import reach, verify_large
from foundry.judge.proof.screen import screen, screen_rest
from foundry.judge.proof.sweep import REMAINDERS
from foundry.judge.proof.verify import prove, verify
from foundry.judge.stages import Walk, build_rest, build_visible
from foundry.judge.time.benchmark import Benchmark
from foundry.judge.time.confirmation import (
    Looks,
    blocks_for,
    fresh_seed,
    is_faster,
    measured_once,
    spanning,
    widened,
)
from foundry.judge.verdict import Diagnostic, Evaluation, Status, score_of
from foundry.kernel import Kernel, render
from ops.spec import Op

_SEED_BITS = 48


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
        self._bench = Benchmark(pool)
        self._looks = Looks()
        self.seed = secrets.randbits(_SEED_BITS) if secret is None else secret

    @property
    def device_id(self) -> str:
        """Of the device that kernels run on."""
        return self._pool.device().id

    def evaluate(
        self,
        kernel: Kernel | str,
        op: Op,
        dtype: str,
        seed: int | None = None,
        *,
        rivals: Rivals = NOBODY,
    ) -> Evaluation:
        """Judge one kernel.

        Args:
            kernel: A kernel, or the text of a kernel file, which may be broken.
            op: The op it must compute.
            dtype: Element type of the workloads.
            seed: Draws inputs. None: a secret one that this judge drew when it was made. Either
                way the evaluation records it.
            rivals: Among what it is judged; a kernel that is not ahead of them costs less.

        Raises:
            UsageError: Unknown dtype or bench label.
            EnvironmentUnusable: Engine, oracle or every baseline is unusable here.
        """
        text = kernel if isinstance(kernel, str) else render(kernel)
        bench_workloads(op, dtype, self._options.bench)
        fresh = Candidate(text, op, dtype, self.seed if seed is None else seed, rivals=rivals)
        device_id = self.device_id
        candidate, failed = self._judged(fresh)
        passed = Status.FASTER if candidate.is_faster else Status.CORRECT
        failures = [failed] if failed else [*candidate.untimed.values()]
        if failed is None or failed.status.passed:
            failures += [f for f in candidate.unproven.values() if f not in failures]
        return Evaluation(
            kernel_hash=candidate.kernel_hash,
            op=op.name,
            dtype=dtype,
            device_id=device_id,
            status=failed.status if failed else passed,
            diagnostics=tuple(f.diagnostic for f in failures),
            errors=tuple(candidate.errors.values()),
            timings=() if failed else tuple(candidate.timings),
            stage_ms=candidate.stage_ms,
            seed=candidate.seed,
            proven=None if failed and not failed.status.passed else candidate.proven,
            extra={"benchmark": candidate.facts} if candidate.facts else {},
        )

    def _judged(self, fresh: Candidate) -> tuple[Candidate, Failed | None]:
        """The candidate and why it stopped; from the start again where a GPU was disturbed."""
        candidate = Candidate(fresh.text, fresh.op, fresh.dtype, fresh.seed, rivals=fresh.rivals)
        try:
            return candidate, self._walk(candidate)
        except Disturbed:
            await_recovery(self._pool)
        try:
            return fresh, self._walk(fresh)
        except Disturbed as again:
            return fresh, again.verdict()

    def expect_looks(self, op: str, dtype: str, count: int) -> None:
        """Take it that `count` kernels were timed before: a search that is taken up says so."""
        self._looks.expect(op, dtype, count)

    def _walk(self, candidate: Candidate) -> Failed | None:
        with candidate.stage("parse"):
            failed = prepare(candidate, self._options)
        if failed:
            return failed
        with ExitStack() as held:
            with candidate.stage("wait"):
                worker = held.enter_context(self._pool.lease())
                turn = held.enter_context(self._pool.turn(worker))
            # Others are timed meanwhile: what that costs is no stage's fault.
            candidate.clock = turn.clock
            held.callback(lambda: candidate.add("paused", turn.stood_s))
            walk = Walk(candidate, worker, turn, self._references, self._options)
            with candidate.stage("start"):
                self._prepare(walk)
            found = self._prove(walk) or self._beyond(walk)
            if found is None or found.status.passed:
                look_at_plain_names(walk)
            return found

    def _beyond(self, walk: Walk) -> Failed | None:
        """What follows once a kernel is right on the lists: times, far sizes, other dtypes."""
        candidate = walk.candidate
        found = self._benchmark(walk) if self._options.timed else None
        if found and not found.status.passed:
            return found
        if not candidate.is_faster:
            return reach(walk, self._options.reach_s) or found
        if failed := reach(walk, WHOLE_REACH_S):
            return failed
        candidate.is_faster = REMAINDERS not in candidate.unproven
        self._prove_in_others(walk)
        return None

    def _prepare(self, walk: Walk) -> None:
        op, module = walk.candidate.op, (self._options.sanitizer or "").partition(":")[0]
        walk.worker.prepare(op.name, op_file(op), (module,) if module else ())

    def _prove(self, walk: Walk) -> Failed | None:
        candidate = walk.candidate
        return (
            screen(walk)
            or build_visible(walk)
            or verify(walk, candidate.visible, first=0)
            or prove(walk)
            or screen_rest(walk)
            or build_rest(walk)
            or verify(walk, candidate.rest, first=walk.first_of_rest)
            or verify_large(walk)
        )

    def _prove_in_others(self, walk: Walk) -> None:
        """Prove a kernel in the other dtypes of its op; the record says of each what came out."""
        candidate = walk.candidate
        ended = None if walk.worker.is_whole else "what took too long ended the worker"
        for dtype in candidate.op.dtypes:
            if dtype == candidate.dtype:
                continue
            if ended:
                candidate.facts[f"not tried in {dtype}"] = ended
                continue
            failed = self._prove_in(walk, dtype)
            if failed is None:
                candidate.also_right_in.append(dtype)
                continue
            candidate.facts[f"not right in {dtype}"] = failed.diagnostic.message
            if failed.status in (Status.CRASH, Status.TIMEOUT):
                ended = f"its {failed.status} in {dtype} ended the worker"

    def _prove_in(self, walk: Walk, dtype: str) -> Failed | None:
        candidate = walk.candidate
        other = candidate.beside(candidate.text, dtype)
        if failed := prepare(other, self._options):
            return failed
        return self._prove(replace(walk, candidate=other))

    def _benchmark(self, walk: Walk) -> Failed | None:
        """Time every bench workload, and once more on inputs never seen; only that may confirm.

        What is not ahead of its rivals would win nothing by the second: it is measured once.
        """
        candidate, rivals = walk.candidate, walk.candidate.rivals
        found = self._time_all(walk, candidate.seed)
        if isinstance(found, Failed):
            return found
        first, first_score = candidate.timings, score_of(candidate.timings)
        looks = max(self._looks.add(candidate.op.name, candidate.dtype), rivals.finalists)
        candidate.facts |= {"first_score": first_score, "looks": looks}
        if first_score <= rivals.best:
            candidate.timings = measured_once(first)
            if first_score > 1.0:
                candidate.facts[BEHIND] = rivals.best
                candidate.unproven[BEHIND] = _left_out(first_score, rivals.best)
            return None
        again = self._time_all(_confirming(walk, looks), fresh_seed(candidate.seed))
        if isinstance(again, Failed):
            if first_score > 1.0 or not again.status.passed:
                return again
            # Slower, and the second time in no calm moment: what was measured stands.
            candidate.timings, candidate.untimed = first, {}
            return None
        if first_score > 1.0:
            candidate.is_faster = is_faster(candidate.timings, looks, again)
        candidate.timings = spanning(candidate.timings, first)
        if rivals.finalists > 1:
            candidate.timings = widened(candidate.timings, rivals.finalists)
            candidate.facts["finalists"] = rivals.finalists
        return None

    def _time_all(self, walk: Walk, seed: int) -> Failed | float:
        """Set the candidate's timings; gives the largest drift while they were measured.

        What cannot be timed is named and left out; nothing is left where that is all.
        """
        candidate = walk.candidate
        candidate.timings, candidate.untimed = [], {}
        drift = 1.0
        for index, target in enumerate(candidate.bench, len(candidate.hidden)):
            if not target.timed or target.workload.id in candidate.unproven:
                continue
            found = self._bench.run(walk, target, walk.first_of_rest + index, seed)
            if isinstance(found, Failed) and not found.status.passed:
                return found
            if isinstance(found, Failed):
                candidate.untimed[target.workload.id] = found
                continue
            candidate.timings.append(found.timing)
            candidate.facts[target.workload.id] = found.facts
            drift = max(drift, found.drift)
        if candidate.timings:
            return drift
        return next(iter((*candidate.untimed.values(), *candidate.unproven.values())))


def _confirming(walk: Walk, looks: int) -> Walk:
    """The walk with a plan of as many blocks as it takes to confirm one of so many picks."""
    plan = walk.options.plan
    blocks = max(plan.min_blocks, blocks_for(looks))
    plan = replace(plan, min_blocks=blocks, blocks=max(plan.blocks, blocks))
    return replace(walk, options=replace(walk.options, plan=plan))


def _left_out(score: float, best: float) -> Failed:
    said = (
        f"right, and ahead of the baseline by {score:.3g}, not of the best so far ({best:.3g}): it "
        "was measured once, and run neither on large sizes nor in other dtypes. Judge it by "
        "itself to have that."
    )
    return Failed(Status.CORRECT, Diagnostic(stage="benchmark", message=said))
