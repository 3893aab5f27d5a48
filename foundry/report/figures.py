"""The few figures of an evaluation that tables and live lines show."""

from __future__ import annotations

import math
from dataclasses import dataclass

from foundry.judge.verdict import Evaluation


@dataclass(frozen=True)
class Figures:
    """Times of a timed evaluation; geometric means where it was timed on several workloads."""

    workload: str
    baseline_us: float
    kernel_us: float
    speedup: float
    speedup_low: float
    speedup_high: float


def figures(evaluation: Evaluation) -> Figures | None:
    """The figures of a timed evaluation; None for one without times."""
    timings = evaluation.timings
    if not timings:
        return None
    first = timings[0]

    def mean(name: str) -> float:
        return math.exp(sum(math.log(getattr(t, name)) for t in timings) / len(timings))

    return Figures(
        workload=(first.label or first.workload) if len(timings) == 1 else f"{len(timings)} cases",
        baseline_us=mean("baseline_us"),
        kernel_us=mean("kernel_us"),
        speedup=mean("speedup"),
        speedup_low=mean("speedup_low"),
        speedup_high=mean("speedup_high"),
    )
