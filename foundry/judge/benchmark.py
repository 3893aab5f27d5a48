"""Timing one proven kernel: the fastest right baseline in the same pairs, then an interval."""

from __future__ import annotations

import statistics
import threading

from foundry.errors import EnvironmentUnusable
from foundry.harness.jobs import Crash, Samples, Time, Timeout, TimingPlan
from foundry.harness.pool import WorkerPool
from foundry.judge.compare import compare
from foundry.judge.references import Reference, op_file, output_specs, run_baseline
from foundry.judge.statistics import speedup
from foundry.judge.verdict import Timing
from ops.spec import Op, Workload, bytes_moved, flops

_CHOICE_PLAN = TimingPlan(blocks=10, min_blocks=3, budget_s=0.1)
_CHOICE_LIMIT_S = 120.0


class Baselines:
    """Which baseline is the fastest right one on a workload; chosen once per workload and pool.

    Call it with the device lock held exclusively.
    """

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool
        self._chosen: dict[tuple[str, str], str] = {}
        self._guard = threading.Lock()

    def fastest(self, reference: Reference) -> str:
        """Name of the baseline to beat.

        Raises:
            EnvironmentUnusable: A baseline does not run.
        """
        key = (reference.op.name, reference.workload.id)
        with self._guard:
            if key not in self._chosen:
                self._chosen[key] = self._choose(reference)
            return self._chosen[key]

    def _choose(self, reference: Reference) -> str:
        names = self._right(reference)
        best = names[0]
        for rival in names[1:]:
            samples = self._pair(reference, best, rival)
            if statistics.median(samples.kernel_us) < statistics.median(samples.baseline_us):
                best = rival
        return best

    def _right(self, reference: Reference) -> list[str]:
        """Baselines whose outputs pass the comparison; where none does, the first that runs."""
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
            if all(compare(s, outputs.get(s.name), want).fault is None for s, want in pairs):
                right.append(name)
        return right or ran[:1]

    def _pair(self, reference: Reference, baseline: str, rival: str) -> Samples:
        with self._pool.trusted() as worker:
            found = worker.ask(
                timing_job((reference,), None, baseline, _CHOICE_PLAN, rival), _CHOICE_LIMIT_S
            )
        if isinstance(found, Timeout | Crash):
            raise EnvironmentUnusable(
                f"baseline {rival} of {reference.op.name} cannot be timed: {found}.",
                "Correct the op.",
            )
        samples: Samples = found
        return samples


def timing_job(
    references: tuple[Reference, ...],
    program: int | None,
    baseline: str,
    plan: TimingPlan,
    rival: str | None = None,
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
    )


def timing_of(op: Op, workload: Workload, baseline: str, samples: Samples, seed: int) -> Timing:
    """A stored timing from raw samples.

    Raises:
        ValueError: Samples that no clock gives.
    """
    ratio = speedup(samples.baseline_us, samples.kernel_us, seed)
    return Timing(
        workload=workload.id,
        label=workload.label,
        baseline=baseline,
        baseline_us=statistics.median(samples.baseline_us),
        kernel_us=statistics.median(samples.kernel_us),
        speedup=ratio.median,
        speedup_low=ratio.low,
        speedup_high=ratio.high,
        samples_baseline_us=samples.baseline_us,
        samples_kernel_us=samples.kernel_us,
        bytes_moved=bytes_moved(op, workload),
        flops=flops(op, workload),
    )
