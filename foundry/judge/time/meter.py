"""A side in a worker, run batch by batch, clocked by the judge: no word of a worker is a time."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Protocol, TypeVar

from foundry.harness.jobs import Crash, Job, Timeout, Unanswered
from foundry.harness.measuring.jobs import BindSide, BoundSide, Go, Ready, TimingPlan
from foundry.harness.processes.stopwatch import Lap
from foundry.judge.time.pairs import Line
from foundry.judge.time.slopes import fit
from ops.dtypes import DTYPE_BYTES

R = TypeVar("R")

SETS = 3
"""Draws that timed calls rotate over."""
_COUPLES = 8
_MOST_CALLS = {"cpu": 64}
_MOST_CALLS_GPU = 512
_MOST_BYTES = {"cpu": 64 << 20}
_MOST_BYTES_GPU = 256 << 20


class ClockedWorker(Protocol):
    """A worker that the judge clocks."""

    def ask(self, job: Job[R], limit_s: float) -> R | Unanswered:
        """Do a job."""

    def clocked(self, job: Job[R], limit_s: float) -> tuple[R | Unanswered, Lap]:
        """Do a job and take its time."""


class Halted(Exception):
    """A worker that was killed or died while it was timed."""

    def __init__(self, failure: Timeout | Crash) -> None:
        super().__init__(str(failure))
        self.failure = failure


@dataclass(frozen=True)
class Meter:
    """One side of one worker."""

    worker: ClockedWorker
    side: str
    limit_s: float
    kind: str
    """Of the device."""
    slots: int
    """Calls of a batch, at most."""

    def bind(self, job: BindSide) -> BoundSide:
        """Put the side together.

        Raises:
            Halted: The worker did not survive it.
        """
        return answered(self.worker.ask(job, self.limit_s))

    def batch(self, calls: int, *, keep: bool = False) -> float:
        """Seconds that a batch took, over what the one before left if that is to be kept.

        Raises:
            Halted: The worker did not survive it.
        """
        answered(self.worker.ask(Ready(self.side, calls, keep), self.limit_s))
        found, lap = self.worker.clocked(Go(), self.limit_s)
        answered(found)
        return lap.own_s if self.kind == "cpu" else lap.wall_s

    def line(self, plan: TimingPlan) -> Line:
        """The side with batches as long as the plan wants them.

        Raises:
            Halted: The worker did not survive it.
        """
        stretch_us = plan.batch_us if self.kind == "cpu" else plan.gpu_batch_us
        return Line(self.batch, fit(self.batch, stretch_us, self.slots))


def answered(found: R | Unanswered) -> R:
    """The answer of a worker.

    Raises:
        Halted: There is none.
    """
    if isinstance(found, Timeout | Crash):
        raise Halted(found)
    return found


def slots_for(kind: str, bytes_written: int) -> int:
    """Calls of a batch whose results fit into memory together."""
    most = _MOST_BYTES.get(kind, _MOST_BYTES_GPU) // max(bytes_written, DTYPE_BYTES["float32"])
    return max(SETS, min(_MOST_CALLS.get(kind, _MOST_CALLS_GPU), most))


def latency_us(line: Line, couples: int = _COUPLES) -> tuple[float, float]:
    """Time of one call in calm moments, and the fixed cost of a batch, in microseconds.

    Raises:
        Halted: The worker did not survive it.
    """
    found = [line.couple() for _ in range(couples)]
    return undisturbed_us([c.latency_us for c in found]), statistics.median(
        c.fixed_us for c in found
    )


def undisturbed_us(times: list[float] | tuple[float, ...]) -> float:
    """Latency in the calm moments of a measurement: the lower third."""
    return sorted(times)[len(times) // 3]
