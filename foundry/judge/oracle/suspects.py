"""Elements of a large output that stand out: those far from what a baseline gives there.

The oracle can be asked for few elements of millions, and a kernel may be wrong on one in a million.
A baseline gives them all at once. It is no oracle: where it differs, the oracle is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from foundry.judge.oracle import bounds
from foundry.judge.oracle.sampling import Places, Sample, independent_axes, sample_at
from foundry.program import Arrays
from ops.matches import Close, Distribution, Set
from ops.spec import Op
from ops.workload import Tensor, Workload, dtype_of, match_of, reduction_length

_MOST = 64
"""Suspects that the oracle is asked for: half of them the farthest, half drawn from all."""

_PART = 1 << 16
"""Elements that are looked at together."""

_LARGEST = np.finfo(np.float32).max

Values = NDArray[np.float32]


def suspects(
    op: Op, workload: Workload, outputs: Arrays, baseline: Arrays, rng: Generator
) -> Sample | None:
    """Places that hold what stands out; None where nothing does, or the oracle cannot be asked.

    Args:
        op: The op.
        workload: The large workload.
        outputs: What a kernel gives, of the right shapes and dtypes.
        baseline: What a baseline gives on the same inputs.
        rng: Draws among many.
    """
    found = {t.name: _far_off(t, workload, outputs[t.name], baseline[t.name]) for t in op.outputs}
    count = _MOST
    while any(ratios.size for _, ratios in found.values()) and count:
        chosen = {name: _chosen(*of, count, rng) for name, of in found.items()}
        if at := sample_at(op, workload, _places(op, workload, outputs, chosen)):
            return at
        count //= 4
    return None


def stands_out(op: Op, workload: Workload, outputs: Arrays, known: Arrays) -> bool:
    """Whether anything is farther from known values than rounding explains, or cannot be told."""
    return any(_stands_out(t, workload, outputs.get(t.name), known[t.name]) for t in op.outputs)


def _stands_out(
    tensor: Tensor, workload: Workload, got: NDArray[Any] | None, known: NDArray[Any]
) -> bool:
    if got is None or (got.shape, got.dtype) != (known.shape, known.dtype):
        return True
    if isinstance(match_of(tensor, workload), Distribution | Set):
        return True
    return bool(known.size and _far_off(tensor, workload, got, known)[0].size)


def _far_off(
    tensor: Tensor, workload: Workload, got: NDArray[Any], base: NDArray[Any]
) -> tuple[NDArray[np.int64], Values]:
    """Positions in the flat output, and by how much more than usual each is off."""
    match match_of(tensor, workload):
        case Distribution() | Set():
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        case Close():
            usual = bounds.usual(dtype_of(tensor, workload), reduction_length(tensor, workload))
            parts = [_beyond(usual, start, *rows) for start, *rows in _in_parts(got, base)]
            places, ratios = zip(*parts, strict=True)
            return np.concatenate(places), np.concatenate(ratios)
        case _:
            at = np.flatnonzero((got != base) & ~((got != got) & (base != base)))
            return at, np.full(at.size, np.inf, np.float32)


def _in_parts(
    got: NDArray[Any], base: NDArray[Any]
) -> Iterator[tuple[int, NDArray[Any], NDArray[Any]]]:
    """The first position, and both from there as rows, as many as a processor's cache holds."""
    columns = got.shape[-1] if got.ndim else 1
    rows = max(1, _PART // max(1, columns))
    one, other = got.reshape(-1, columns), base.reshape(-1, columns)
    for start in range(0, max(1, len(one)), rows):
        yield start * columns, one[start : start + rows], other[start : start + rows]


def _beyond(
    usual: bounds.Usual, start: int, got: NDArray[Any], base: NDArray[Any]
) -> tuple[NDArray[np.int64], Values]:
    """Where the distance is more than rounding explains, and how many times.

    NaN stands out, too.
    """
    with np.errstate(all="ignore"):
        value, other = got.astype(np.float32), base.astype(np.float32)
        size = np.abs(other)
        rows = np.mean(np.square(size, dtype=np.float64), axis=-1, keepdims=True)
        least = (usual.of_row * np.sqrt(rows) + usual.least).astype(np.float32)
        allowed = usual.of_element * size + least
        distance = np.abs(value - other)
        at = np.flatnonzero(~(distance <= np.minimum(allowed, _LARGEST)))
        value, other = value.reshape(-1)[at], other.reshape(-1)[at]
        ratio = distance.reshape(-1)[at] / allowed.reshape(-1)[at]
    differs = ~((value == other) | (np.isnan(value) & np.isnan(other)))
    ratio = np.where(np.isnan(ratio), np.float32(np.inf), ratio)
    return at[differs] + start, ratio[differs]


def _chosen(at: NDArray[np.int64], ratios: Values, count: int, rng: Generator) -> NDArray[np.int64]:
    if at.size <= count:
        return at
    worst = np.argpartition(-ratios, count // 2)[: count // 2]
    drawn = rng.choice(at.size, count - count // 2, replace=False)
    return at[np.union1d(worst, drawn)]


def _places(
    op: Op, workload: Workload, outputs: Arrays, chosen: Mapping[str, NDArray[np.int64]]
) -> Places:
    """The places of each independent axis that the chosen elements lie at."""
    found: dict[str, set[int]] = {name: set() for name in independent_axes(op)}
    for tensor in op.outputs:
        index = np.unravel_index(chosen[tensor.name], outputs[tensor.name].shape)
        for name, places in found.items():
            places.update(index[tensor.shape.index(name)].tolist())
    return {name: np.array(sorted(places), np.int64) for name, places in found.items()}
