"""What functions with MLX's signatures share: a stream, an axis, a call of an op."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import mlx.core as mx

from ..arguments import array_of, dtype_of
from ..dispatch import functions

Stream = Any
"""A stream or device as MLX takes it, or None for the default."""
Axes = int | Sequence[int] | None
"""As MLX takes them; None: all."""


def on(stream: Stream) -> AbstractContextManager[Any]:
    """Run what is inside on a stream or device; None: on the default."""
    return _HERE if stream is None else mx.stream(stream)


_HERE = nullcontext()


def run(op: str, arrays: tuple[Any, ...], numbers: Mapping[str, Any], stream: Stream) -> Any:
    """Call an op of the package."""
    if stream is None:
        return functions()[op](arrays, numbers)
    with on(stream):
        return functions()[op](arrays, numbers)


def covers(op: str, x: Any, axis: Any) -> bool:
    """Whether an op of rows says what MLX's function says: one axis, and a dtype that it has."""
    if not isinstance(axis, int):
        return False
    return not isinstance(x, mx.array) or x.dtype in _dtypes(op)


@cache
def _dtypes(op: str) -> frozenset[mx.Dtype]:
    return frozenset(map(dtype_of, functions()[op].op["dtypes"]))


def _with_axis(op: str, x: Any, axis: Any) -> tuple[mx.array, int]:
    """What is given as an array, and an axis that it has."""
    given = array_of(f"{op}: x", x)
    if not isinstance(axis, int) or not -given.ndim <= axis < given.ndim:
        raise ValueError(f"{op}: axis is {axis!r}; x has {given.ndim} dimensions")
    return given, axis


def along(op: str, x: Any, axis: int, numbers: Mapping[str, Any], stream: Stream) -> Any:
    """Call an op of the last axis along another; its results keep that axis in its place.

    Raises:
        ValueError: No such axis.
    """
    if axis == -1 and stream is None:
        return functions()[op]((x,), numbers)
    given, place = _with_axis(op, x, axis)
    with on(stream):
        found = functions()[op]((mx.moveaxis(given, place, -1),), numbers)
        if isinstance(found, tuple):
            return tuple(mx.moveaxis(f, -1, place) for f in found)
        return mx.moveaxis(found, -1, place)


def reduced(
    op: str,
    plain: Callable[..., mx.array],
    x: Any,
    axis: Axes,
    keepdims: bool,
    stream: Stream,
) -> mx.array:
    """Call an op that leaves one element of every row, along any axis; else MLX's own function.

    Of rows without elements the op says nothing, and MLX a value, such as 0 of sums.

    Raises:
        ValueError: No such axis.
    """
    if (isinstance(x, mx.array) and not x.size) or not covers(op, x, axis):
        return plain(x, axis=axis, keepdims=keepdims, stream=stream)
    given, place = _with_axis(op, x, axis)
    with on(stream):
        found: mx.array = functions()[op]((mx.moveaxis(given, place, -1),), {})
        return mx.expand_dims(found, place) if keepdims else found
