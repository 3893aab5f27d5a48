"""Elements of a large output that stand out: those far from what a baseline gives there.

The oracle can be asked for few elements of millions, and a kernel may be wrong on one in a million.
A baseline gives them all at once. It is no oracle: where it differs, the oracle is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from foundry.judge.oracle import bounds
from foundry.judge.oracle.sampling import Places, Sample, independent_axes, sample_at
from foundry.program import Arrays
from ops.matches import Close, Distribution, Set
from ops.spec import Op, Tensor, Workload, dtype_of, match_of, reduction_length

_MOST = 64
"""Suspects that the oracle is asked for: half of them the farthest, half drawn from all."""

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


def _far_off(
    tensor: Tensor, workload: Workload, got: NDArray[Any], base: NDArray[Any]
) -> tuple[NDArray[np.int64], Values]:
    """Positions in the flat output, and by how much more than usual each is off."""
    match match_of(tensor, workload):
        case Distribution() | Set():
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        case Close():
            ratio = _ratio(tensor, workload, got, base)
        case _:
            ratio = np.where((got == base) | ((got != got) & (base != base)), 0.0, np.inf)
    at = np.flatnonzero(~(ratio <= 1.0))
    return at, ratio.reshape(-1)[at].astype(np.float32)


def _ratio(tensor: Tensor, workload: Workload, got: NDArray[Any], base: NDArray[Any]) -> Values:
    """The distance of every element over what rounding explains; NaN stands out, too."""
    usual = bounds.usual(dtype_of(tensor, workload), reduction_length(tensor, workload))
    with np.errstate(all="ignore"):
        value, other = got.astype(np.float32), base.astype(np.float32)
        size = np.abs(other)
        rows = np.mean(np.square(size, dtype=np.float64), axis=-1, keepdims=True)
        allowed = usual.of_element * size + (usual.of_row * np.sqrt(rows) + usual.least)
        ratio: Values = (np.abs(value - other) / allowed).astype(np.float32)
    same = (value == other) | (np.isnan(value) & np.isnan(other))
    return np.where(same, np.float32(0.0), np.where(np.isnan(ratio), np.float32(np.inf), ratio))


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
