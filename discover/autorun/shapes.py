"""The shapes of a model at which its ops are searched: where its steps spend their time. Pure.

Those of decoding come first. An op whose calls there are so short that their time would be that of
the dispatch is searched at the shapes of a prefill step instead.
"""

from __future__ import annotations

from collections.abc import Sequence

from discover.autorun.steps import OpCall

Shape = dict[str, int]
"""Sizes of an op's axes."""
MOST_SHAPES = 3
_ENOUGH = 0.9
"""Share of an op's time that its shapes make up; what is left is not worth a timing."""
_SHORTEST_US = 10.0
"""By bytes and FLOPs; a dispatch takes a few microseconds."""
_Times = dict[tuple[tuple[str, int], ...], float]


def shapes(
    decode: Sequence[OpCall], prefill: Sequence[OpCall], gb_s: float, gflops: float
) -> dict[str, tuple[Shape, ...]]:
    """Shapes of every op, those that take longest first.

    Args:
        decode: Calls of a decode step.
        prefill: Calls of a prefill step.
        gb_s: Bandwidth of the device.
        gflops: Its arithmetic.
    """
    long = [
        [c for c in step if _call_us(c, gb_s, gflops) >= _SHORTEST_US] for step in (decode, prefill)
    ]
    found: dict[str, tuple[Shape, ...]] = {}
    for step in (*long, prefill, decode):
        for op, times in _times(step, gb_s, gflops).items():
            found.setdefault(op, _longest(times))
    return found


def _call_us(call: OpCall, gb_s: float, gflops: float) -> float:
    return call.roofline_us(gb_s, gflops) / call.count


def _times(calls: Sequence[OpCall], gb_s: float, gflops: float) -> dict[str, _Times]:
    """Time of every shape in a step, by op."""
    by_op: dict[str, _Times] = {}
    for call in calls:
        sizes = tuple(call.workload.axes.items())
        times = by_op.setdefault(call.op, {})
        times[sizes] = times.get(sizes, 0.0) + call.roofline_us(gb_s, gflops)
    return by_op


def _longest(times: _Times) -> tuple[Shape, ...]:
    ranked = sorted(times, key=lambda sizes: -times[sizes])
    chosen, seen = [], 0.0
    for sizes in ranked[:MOST_SHAPES]:
        if seen >= _ENOUGH * sum(times.values()):
            break
        chosen.append(dict(sizes))
        seen += times[sizes]
    return tuple(chosen)
