"""Times ways to compute the same, in turns: baselines and a kernel on equal inputs.

The time of a call is what a longer batch takes beyond a shorter one: what the clock and the one
wait cost is in both. A call waits for the one before, as in a model, so calls that leave a GPU
mostly idle do not hide in each other. What makes it wait counts on every side: of short calls a
speedup is told too low, never too high.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import mlx.core as mx

Run = Callable[..., Sequence[mx.array]]
Side = Callable[[mx.array | None], Sequence[mx.array]]
"""One call; it waits for the array that it is given."""
Clock = Callable[[], float]
_BATCH_S = 0.002
_MOST_CALLS = 256
_LONGER = 3
"""How many times as long the longer batch is."""
_FEWEST = 6
"""Pairs, for an interval of 95 % to have two ends."""
_MOST_LINKED = 1 << 20
"""Elements of an input that is written anew for each call; larger calls fill a GPU themselves."""
_NEVER = 0.7390851
"""A number that no result is likely to be."""


@dataclass(frozen=True)
class TimingRules:
    """How long a point may take, and by which clock."""

    pairs: int = 15
    limit_s: float = 2.0
    """No further turn is begun after it, once there are enough."""
    clock: Clock = time.perf_counter


def side_of(run: Run, arrays: Sequence[mx.array | None]) -> Side:
    """Calls of a function on some arrays, each after the one before where that costs little."""
    at = _linked(arrays)
    return partial(_call, run, arrays) if at is None else partial(_call_after, run, arrays, at)


def times_in_turns(sides: Sequence[Side], rules: TimingRules) -> list[list[float]]:
    """Seconds a call of each side, turn by turn; every other turn goes through them backwards."""
    calls = [_calls(side, rules.clock) for side in sides]
    times: list[list[float]] = [[] for _ in sides]
    begun = rules.clock()
    for turn in range(rules.pairs):
        order = range(len(sides))
        for side in order if turn % 2 == 0 else reversed(order):
            times[side].append(call_s(sides[side], calls[side], rules.clock))
        if turn + 1 >= _FEWEST and rules.clock() - begun > rules.limit_s:
            break
    return times


def call_s(side: Side, calls: int, clock: Clock) -> float:
    """Seconds of one call: the slope between a batch and a longer one."""
    short = batch_s(side, calls, clock)
    long = batch_s(side, _LONGER * calls, clock)
    # At least what a clock of any machine can tell from nothing: ratios have logarithms.
    return max((long - short) / ((_LONGER - 1) * calls), 1e-9)


def _calls(side: Side, clock: Clock) -> int:
    """Calls that fill a batch; the first batch also builds what has to be built."""
    batch_s(side, 1, clock)
    once = max(min(call_s(side, 2, clock) for _ in range(2)), 1e-7)
    return max(1, min(_MOST_CALLS, round(_BATCH_S / once)))


def batch_s(side: Side, calls: int, clock: Clock) -> float:
    """Seconds of some calls and the one wait for all of them."""
    begun = clock()
    results: list[Any] = []
    after = None
    for _ in range(calls):
        results.append(side(after))
        after = results[-1][0]
    mx.eval(results)
    return clock() - begun


def _linked(arrays: Sequence[mx.array | None]) -> int | None:
    """The input that makes a call wait: the smallest of floating numbers; None: none is small."""
    sizes = [
        (array.size, at)
        for at, array in enumerate(arrays)
        if array is not None and mx.issubdtype(array.dtype, mx.floating)
    ]
    return next((at for size, at in sorted(sizes) if size <= _MOST_LINKED), None)


def _call(run: Run, arrays: Sequence[mx.array | None], _: mx.array | None) -> Sequence[mx.array]:
    return run(*arrays)


def _call_after(
    run: Run, arrays: Sequence[mx.array | None], at: int, after: mx.array | None
) -> Sequence[mx.array]:
    given: list[Any] = list(arrays)
    if after is not None and after.size:
        given[at] = given[at] + (after.reshape(-1)[0] == _NEVER)
    return run(*given)
