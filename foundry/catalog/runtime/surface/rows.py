"""Functions along one axis, with the signatures of `mlx.nn` and `mlx.core`.

Several axes, and dtypes that the op has not, are left to MLX.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from .calls import Axes, Stream, along, covers, reduced


def softmax(x: Any, axis: Axes = -1, *, precise: bool = True, stream: Stream = None) -> mx.array:
    """Softmax along an axis, as `mlx.nn.softmax`.

    Args:
        x: Of any shape.
        axis: Which axis sums to 1; several, or None for all, are MLX's.
        precise: Taken for MLX's sake: sums are carried in float32 either way.
        stream: A stream or device.
    """
    if not isinstance(axis, int) or not covers("softmax", x, axis):
        return mx.softmax(x, axis, precise=precise, stream=stream)
    found: mx.array = along("softmax", x, axis, {}, stream)
    return found


def topk(x: Any, k: int, axis: int = -1, *, stream: Stream = None) -> tuple[mx.array, mx.array]:
    """The `k` largest along an axis, largest first, of equal ones the lowest index first.

    Args:
        x: Of any shape.
        k: How many.
        axis: Along which axis.
        stream: A stream or device.

    Returns:
        Values and indices.
    """
    found: tuple[mx.array, mx.array] = along("topk", x, axis, {"k": k}, stream)
    return found


def cumsum(
    x: Any,
    axis: int | None = None,
    *,
    reverse: bool = False,
    inclusive: bool = True,
    dtype: mx.Dtype | None = None,
    stream: Stream = None,
) -> mx.array:
    """Running sums along an axis, as `mx.cumsum`.

    Args:
        x: Of any shape.
        axis: Along which axis; None: over all elements, one after another.
        reverse: From the end.
        inclusive: Whether an element counts in its own sum.
        dtype: Of the sums.
        stream: A stream or device.
    """
    along_one = _axis_of(x, axis)
    if reverse or not inclusive or dtype is not None or not covers("cumsum", x, along_one):
        return mx.cumsum(x, axis, reverse=reverse, inclusive=inclusive, dtype=dtype, stream=stream)
    found: mx.array = along("cumsum", x, along_one, {}, stream)
    return found


def cummax(
    x: Any,
    axis: int | None = None,
    *,
    reverse: bool = False,
    inclusive: bool = True,
    stream: Stream = None,
) -> mx.array:
    """Running maxima along an axis, as `mx.cummax`; arguments as those of `cumsum`.

    Kernels may pass over a NaN.
    """
    along_one = _axis_of(x, axis)
    if reverse or not inclusive or not covers("cummax", x, along_one):
        return mx.cummax(x, axis, reverse=reverse, inclusive=inclusive, stream=stream)
    found: mx.array = along("cummax", x, along_one, {}, stream)
    return found


def _axis_of(x: Any, axis: Any) -> Any:
    """All elements of what has one dimension lie along its axis."""
    return -1 if axis is None and isinstance(x, mx.array) and x.ndim == 1 else axis


def row_sum(x: Any, axis: Axes = -1, keepdims: bool = False, *, stream: Stream = None) -> mx.array:
    """Sums along one axis, carried in float32; `keepdims` as in `mx.sum`."""
    return reduced("row_sum", mx.sum, x, axis, keepdims, stream)


def row_max(x: Any, axis: Axes = -1, keepdims: bool = False, *, stream: Stream = None) -> mx.array:
    """Maxima along one axis; `keepdims` as in `mx.max`. Kernels may pass over a NaN."""
    return reduced("row_max", mx.max, x, axis, keepdims, stream)


def row_mean(x: Any, axis: Axes = -1, keepdims: bool = False, *, stream: Stream = None) -> mx.array:
    """Means along one axis, carried in float32; `keepdims` as in `mx.mean`."""
    return reduced("row_mean", mx.mean, x, axis, keepdims, stream)


def row_logsumexp(
    x: Any, axis: Axes = -1, keepdims: bool = False, *, stream: Stream = None
) -> mx.array:
    """Logarithms of sums of exponentials along an axis, as `mx.logsumexp`."""
    return reduced("row_logsumexp", mx.logsumexp, x, axis, keepdims, stream)


def row_l2(x: Any, axis: Axes = -1, keepdims: bool = False, *, stream: Stream = None) -> mx.array:
    """Euclidean lengths along an axis, as `mx.linalg.norm` of rows."""
    return reduced("row_l2", mx.linalg.norm, x, axis, keepdims, stream)
