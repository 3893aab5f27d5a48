"""Times two ways to compute the same, in turns: a baseline and a kernel on equal inputs.

A batch holds as many calls as take a few milliseconds, so what the clock and one wait cost is
little. Both sides pay for their own dispatch, as they do where they are called.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx

Side = Callable[[], Sequence[mx.array]]
Clock = Callable[[], float]
_BATCH_S = 0.002
_MOST_CALLS = 256


@dataclass(frozen=True)
class TimingRules:
    """How long a point may take, and by which clock."""

    pairs: int = 15
    limit_s: float = 2.0
    """No further pair is begun after it, once there are five."""
    clock: Clock = time.perf_counter


_FEWEST = 5


def paired_times(
    baseline: Side, kernel: Side, rules: TimingRules
) -> tuple[list[float], list[float]]:
    """Seconds a call of each side, pair by pair; the side that begins changes every time."""
    sides: tuple[Side, Side] = (baseline, kernel)
    calls = max(_calls(side, rules.clock) for side in sides)
    times: tuple[list[float], list[float]] = ([], [])
    begun = rules.clock()
    for pair in range(rules.pairs):
        for side in (0, 1) if pair % 2 == 0 else (1, 0):
            times[side].append(_batch(sides[side], calls, rules.clock) / calls)
        if pair + 1 >= _FEWEST and rules.clock() - begun > rules.limit_s:
            break
    return times


def _calls(side: Side, clock: Clock) -> int:
    """Calls that fill a batch; the first batch also builds what has to be built."""
    _batch(side, 1, clock)
    once = max(min(_batch(side, 1, clock) for _ in range(2)), 1e-7)
    return max(1, min(_MOST_CALLS, round(_BATCH_S / once)))


def _batch(side: Side, calls: int, clock: Clock) -> float:
    begun = clock()
    results: list[Any] = [side() for _ in range(calls)]
    mx.eval(results)
    # At least what a clock of any machine can tell from nothing: ratios have logarithms.
    return max(clock() - begun, 1e-9)
