"""What a kernel is timed against: of all ways to compute the op without it, the fastest here."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from statistics import median

from ..arguments import MatchedCall
from ..dispatch import CatalogFunction
from ..learning.regions import TimedPoint
from ..learning.statistics import PairedTimes, point_of
from ..replaced import replaced
from ..running import ShippedBaseline, without_kernels
from .timing import Clock, Side, TimingRules, batch_s, call_s, side_of, times_in_turns

_NEAR = 1.25
"""Rivals that took more than this beside the fastest one at a first look are timed no further."""
_LOOKS = 3
_CALLS = 8
_LONG_S, _BATCH_S = 0.02, 0.002
"""Beside a call of this length the wait for it is nothing."""


def baselines(function: CatalogFunction) -> list[ShippedBaseline]:
    """Every way to compute an op in plain MLX: its fallback, its other baselines, layers' code."""
    others = importlib.import_module("..others", __package__)
    found = [ShippedBaseline.of(record, others) for record in function.op["others"]]
    layer = replaced(function.op)
    return [function.fallback, *found, *([layer] if layer else [])]


def fastest(
    function: CatalogFunction, call: MatchedCall, rules: TimingRules
) -> list[ShippedBaseline]:
    """The baselines that are the fastest at a call, or close to it; the fastest one first.

    Raises:
        ValueError: None of them takes the call; says what each raised.
    """
    looks: list[tuple[float, ShippedBaseline]] = []
    failed = []
    for baseline in baselines(function):
        try:
            side = side_of(without_kernels(function.op, baseline, call), call.arrays)
            looks.append((look_s(side, rules.clock), baseline))
        except Exception as error:  # an older MLX lacks it, or this machine its memory
            failed.append(f"{baseline.name}: {type(error).__name__}: {error}")
    if not looks:
        raise ValueError("; ".join(failed))
    looks.sort(key=lambda look: look[0])
    return [baseline for seconds, baseline in looks if seconds <= _NEAR * looks[0][0]]


def look_s(side: Side, clock: Clock) -> float:
    """Seconds of a call, roughly: no more is asked of what is far behind."""
    batch_s(side, 1, clock)  # builds what has to be built
    once = batch_s(side, 1, clock)
    if once > _LONG_S:
        return once
    # Results of a batch stay until its end: those of large calls may be more than a Mac's memory.
    calls = max(1, min(_CALLS, round(_BATCH_S / max(once, 1e-9))))
    return median(call_s(side, calls, clock) for _ in range(_LOOKS))


def against(rivals: Mapping[str, Side], kernel: Side, rules: TimingRules) -> dict[str, PairedTimes]:
    """Times of a kernel and of each rival, all taken in the same turns."""
    *others, own = times_in_turns([*rivals.values(), kernel], rules)
    return {name: PairedTimes(times, own) for name, times in zip(rivals, others, strict=True)}


def hardest(
    axes: Mapping[str, int], measured: Mapping[str, list[PairedTimes]], *, same_bits: bool
) -> TimedPoint:
    """The point against the rival that a kernel is the least sure to beat: it must beat all."""
    points = (
        point_of(axes, times, baseline=name, same_bits=same_bits)
        for name, times in measured.items()
    )
    return min(points, key=lambda point: point.low)
