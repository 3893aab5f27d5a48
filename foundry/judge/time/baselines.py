"""Which MLX expression is the one to beat: the fastest right one, on this device and dtype."""

from __future__ import annotations

import statistics
import threading
from dataclasses import dataclass

from foundry.errors import EnvironmentUnusable
from foundry.harness.jobs import Crash, Timeout
from foundry.harness.measuring.jobs import Samples, Time, TimingPlan
from foundry.harness.processes.pool import WorkerPool
from foundry.judge.oracle.references import Reference, op_file, output_specs, run_baseline
from foundry.judge.proof.compare import compare
from foundry.judge.time.plausible import undisturbed_us

_PLAN = TimingPlan(blocks=10, min_blocks=4, budget_s=0.1)
_LOOSE = 32.0
"""Bounds that a rival baseline may be off by; zeros are off by 64 in bfloat16."""
_LIMIT_S = 120.0


@dataclass(frozen=True)
class Bar:
    """The baseline to beat on one workload."""

    name: str
    latency_us: float
    """Alone in the trusted worker, in its calm moments."""


class Baselines:
    """The baseline to beat, chosen once per workload and pool.

    Call it with the device lock held exclusively.
    """

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool
        self._chosen: dict[tuple[str, str], Bar] = {}
        self._guard = threading.Lock()

    def fastest(self, reference: Reference) -> Bar:
        """The baseline to beat.

        Raises:
            EnvironmentUnusable: A baseline cannot be timed.
        """
        key = (reference.op.name, reference.workload.id)
        with self._guard:
            if key not in self._chosen:
                self._chosen[key] = self._choose(reference)
            return self._chosen[key]

    def again(self, reference: Reference, name: str) -> float:
        """Latency of one baseline in the trusted worker, measured now, in microseconds."""
        samples = self._pair(reference, name, name)
        return undisturbed_us(samples.baseline_us + samples.kernel_us)

    def _choose(self, reference: Reference) -> Bar:
        names = self._right(reference)
        best = Bar(names[0], self.again(reference, names[0]))
        for rival in names[1:]:
            samples = self._pair(reference, best.name, rival)
            if statistics.median(samples.kernel_us) < statistics.median(samples.baseline_us):
                best = Bar(rival, undisturbed_us(samples.kernel_us))
        return best

    def _right(self, reference: Reference) -> list[str]:
        """Baselines that compute the op, to the precision of T; if none does, the first that runs.

        Users run expressions that add in T, so these set a bar, although no kernel may do the same.
        """
        op, workload = reference.op, reference.workload
        specs = output_specs(op, workload)
        ran: list[str] = []
        right: list[str] = []
        for name in op.baselines:
            outputs = run_baseline(self._pool, op, workload, name, reference.inputs)
            if isinstance(outputs, str):
                continue
            ran.append(name)
            pairs = zip(specs, reference.expected, strict=True)
            if all(compare(s, outputs.get(s.name), e).bound_ratio <= _LOOSE for s, e in pairs):
                right.append(name)
        return right or ran[:1]

    def _pair(self, reference: Reference, baseline: str, rival: str) -> Samples:
        job = timing_job((reference,), None, baseline, _PLAN, rival)
        with self._pool.trusted() as worker:
            found = worker.ask(job, _LIMIT_S)
        if isinstance(found, Timeout | Crash):
            raise EnvironmentUnusable(
                f"baseline {rival} of {reference.op.name} cannot be timed: {found}.",
                "Correct the op.",
            )
        return found


def timing_job(
    references: tuple[Reference, ...],
    program: int | None,
    baseline: str,
    plan: TimingPlan,
    rival: str | None = None,
    ghost: int | None = None,
    audits: int = 0,
) -> Time:
    """The job that times a program, or a rival baseline, over several sets of inputs."""
    op, workload = references[0].op, references[0].workload
    return Time(
        program=program,
        op=op.name,
        op_file=op_file(op),
        workload=workload,
        baseline=baseline,
        inputs=tuple(r.inputs for r in references),
        outputs=output_specs(op, workload),
        plan=plan,
        rival=rival,
        ghost=ghost,
        audits=audits,
    )
