"""Where evaluations gain a whole model most: shares of its steps, bounds, and who is next. Pure.

The share of an op is that of its roofline time, so it rests on bytes and FLOPs alone. A search gets
a slice of evaluations at a time; the next goes to the op whose share has most left to win, and an
op is done once it is at its roofline or two slices brought nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from discover.autorun.standing import SLICE, Standing
from discover.autorun.steps import OpCall


@dataclass(frozen=True)
class StepShare:
    """An op's part of a model."""

    op: str
    sizes: tuple[str, ...]
    decode: float
    """Share of a decode step, from 0 to 1."""
    prefill: float

    @property
    def bound(self) -> float:
        """How much faster decoding becomes, at most, however fast the op does (Amdahl)."""
        return 1 / (1 - self.decode) if self.decode < 1 else float("inf")


def shares(
    decode: Sequence[OpCall], prefill: Sequence[OpCall], gb_s: float, gflops: float
) -> list[StepShare]:
    """Every op of a model with its shares, the largest share of decoding first."""
    steps = [_by_op(calls, gb_s, gflops) for calls in (decode, prefill)]
    totals = [sum(step.values()) for step in steps]
    found = [
        StepShare(
            op,
            tuple(dict.fromkeys(c.workload.id for c in (*decode, *prefill) if c.op == op)),
            *(step.get(op, 0.0) / total for step, total in zip(steps, totals, strict=True)),
        )
        for op in dict.fromkeys(call.op for call in (*decode, *prefill))
    ]
    return sorted(found, key=lambda one: -one.decode)


def next_op(weights: Mapping[str, float], found: Iterable[Standing]) -> str | None:
    """The op whose next slice promises most for the whole; None where all are done.

    Args:
        weights: Share of each op in the model.
        found: Searches so far; those of several dtypes count together.
    """
    by_op: dict[str, list[Standing]] = {op: [] for op in weights}
    for standing in found:
        by_op.get(standing.op, []).append(standing)
    promises = {op: _promise(weight, by_op[op]) for op, weight in weights.items()}
    best = max(promises, key=lambda op: promises[op], default=None)
    return best if best is not None and promises[best] > 0 else None


def _by_op(calls: Iterable[OpCall], gb_s: float, gflops: float) -> dict[str, float]:
    found: dict[str, float] = {}
    for call in calls:
        found[call.op] = found.get(call.op, 0.0) + call.roofline_us(gb_s, gflops)
    return found


def _promise(weight: float, found: Sequence[Standing]) -> float:
    """Share that may be won, less where much was tried."""
    if not found:
        return weight
    open_ones = [standing for standing in found if not standing.done]
    left = [1 - 1 / max(1.0, standing.above_floor or 2.0) for standing in open_ones]
    tried = sum(standing.evaluations for standing in found) / SLICE
    return weight * max(left, default=0.0) / (1 + tried)
