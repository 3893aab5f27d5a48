"""What a run on a large workload takes, as far as the runs that are done tell.

Where a kernel's work grows as the op's does, so does its time. Axes whose places depend on each
other may be done by brute force, which grows with their square: that is the most it takes.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from foundry.judge.candidate import Candidate, Pace, Target
from foundry.judge.oracle.pace import work
from foundry.judge.oracle.sampling import independent_axes
from foundry.judge.stages import threads


@dataclass(frozen=True)
class Forecast:
    """What a run on a workload takes."""

    seconds: float
    """Where the kernel's work grows as the op's does."""
    most_s: float
    """Where it goes by brute force."""


def forecast(candidate: Candidate, target: Target) -> Forecast:
    """What a run takes, each time by the run that promises least."""
    amount, free = work(candidate.op, target.workload), independent_axes(candidate.op)
    found = [_scaled(pace, target, amount, free) for pace in candidate.paces]
    return Forecast(
        min((f.seconds for f in found), default=math.inf),
        min((f.most_s for f in found), default=math.inf),
    )


def _scaled(pace: Pace, target: Target, amount: int, free: Collection[str]) -> Forecast:
    known, workload = pace.workload, target.workload
    growth = max(1.0, amount / pace.work, threads(target.program) / max(1, pace.threads))
    brute = math.prod(
        max(1.0, size / max(1, known.axes[axis]))
        for axis, size in workload.axes.items()
        if axis not in free
    )
    return Forecast(pace.seconds * growth, pace.seconds * growth * brute)
