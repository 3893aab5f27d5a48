"""Functions along one axis, with the signatures of `mlx.nn` and `mlx.core`."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from .calls import Stream, along, reduced


def softmax(x: Any, axis: int = -1, *, precise: bool = True, stream: Stream = None) -> mx.array:
    """Softmax along an axis, as `mlx.nn.softmax`.

    Args:
        x: Of any shape.
        axis: Which axis sums to 1.
        precise: Taken for MLX's sake: sums are carried in float32 either way.
        stream: A stream or device.
    """
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
    axis: int = -1,
    *,
    reverse: bool = False,
    inclusive: bool = True,
    stream: Stream = None,
) -> mx.array:
    """Running sums along an axis, as `mx.cumsum`.

    Args:
        x: Of any shape.
        axis: Along which axis.
        reverse: From the end.
        inclusive: Whether an element counts in its own sum.
        stream: A stream or device.
    """
    if reverse or not inclusive:
        return mx.cumsum(x, axis, reverse=reverse, inclusive=inclusive, stream=stream)
    found: mx.array = along("cumsum", x, axis, {}, stream)
    return found


def cummax(x: Any, axis: int = -1, *, stream: Stream = None) -> mx.array:
    """Running maxima along an axis, as `mx.cummax`.

    Args:
        x: Of any shape.
        axis: Along which axis.
        stream: A stream or device.
    """
    found: mx.array = along("cummax", x, axis, {}, stream)
    return found


def row_sum(x: Any, axis: int = -1, keepdims: bool = False, *, stream: Stream = None) -> mx.array:
    """Sums along one axis, carried in float32; `keepdims` as in `mx.sum`."""
    return reduced("row_sum", x, axis, keepdims, stream)


def row_max(x: Any, axis: int = -1, keepdims: bool = False, *, stream: Stream = None) -> mx.array:
    """Maxima along one axis; `keepdims` as in `mx.max`."""
    return reduced("row_max", x, axis, keepdims, stream)


def row_mean(x: Any, axis: int = -1, keepdims: bool = False, *, stream: Stream = None) -> mx.array:
    """Means along one axis, carried in float32; `keepdims` as in `mx.mean`."""
    return reduced("row_mean", x, axis, keepdims, stream)


def row_logsumexp(
    x: Any, axis: int = -1, keepdims: bool = False, *, stream: Stream = None
) -> mx.array:
    """Logarithms of sums of exponentials along an axis, as `mx.logsumexp`."""
    return reduced("row_logsumexp", x, axis, keepdims, stream)


def row_l2(x: Any, axis: int = -1, keepdims: bool = False, *, stream: Stream = None) -> mx.array:
    """Euclidean lengths along an axis, as `mx.linalg.norm` of rows."""
    return reduced("row_l2", x, axis, keepdims, stream)
