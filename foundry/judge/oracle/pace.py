"""How long an oracle takes: one that is slow ends what is proven, and hangs no judge.

An op from a user's file may loop in Python. `Paces` keeps what its oracle needed, of processor time
of the judge's thread, and foretells from that what a larger workload would.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from foundry.errors import NoAnswer
from ops.spec import Op, elements_of, plain_flops
from ops.workload import Workload

MOST_S = 20.0
"""An oracle is not asked for a large workload where that is foreseen to take longer."""
_LEAST_S = 1e-3
"""What takes less says nothing of how the time grows."""
_APART = 4.0
"""So much more work shows how it grows."""


@dataclass(frozen=True)
class Answered:
    """What an oracle needed once."""

    work: int
    seconds: float


class Paces:
    """Of every op, the least and the most work that its oracle was asked for."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Answered, Answered]] = {}

    @contextmanager
    def asked(self, op: Op, workload: Workload, *, at_any_cost: bool) -> Iterator[None]:
        """Note how long the oracle takes in the block.

        Raises:
            NoAnswer: Too long, as far as that can be foreseen, and it need not be asked.
        """
        needed_s = self.forecast_s(op, workload)
        if needed_s > MOST_S and not at_any_cost:
            raise NoAnswer(
                f"the oracle of {op.name} would take about {needed_s:.0f} s on {workload.id}.",
                "Write it without a loop in Python.",
            )
        start_s = time.thread_time()
        yield
        self.add(op.name, Answered(work(op, workload), time.thread_time() - start_s))

    def add(self, name: str, pace: Answered) -> None:
        """Take what an oracle needed into account."""
        least, most = self._known.get(name, (pace, pace))
        if pace.seconds >= _LEAST_S and (least.seconds < _LEAST_S or pace.work < least.work):
            least = pace
        self._known[name] = least, max(most, pace, key=lambda p: (p.work, p.seconds))

    def forecast_s(self, op: Op, workload: Workload) -> float:
        """Seconds for a workload; 0 where nothing is known yet.

        They grow at least as the work does, and as the square of it at most.
        """
        if op.name not in self._known:
            return 0.0
        least, most = self._known[op.name]
        growth, exponent = max(1.0, work(op, workload) / most.work), 1.0
        if least.seconds >= _LEAST_S and most.work >= _APART * least.work:
            steepness = math.log(most.seconds / least.seconds) if most.seconds else 0.0
            exponent = min(2.0, max(1.0, steepness / math.log(most.work / least.work)))
        return float(most.seconds * growth**exponent)


def work(op: Op, workload: Workload) -> int:
    """Elements and FLOPs of a workload, at least 1."""
    return max(1, elements_of(op, workload) + plain_flops(op, workload))
