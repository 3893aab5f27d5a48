"""What functions with MLX's signatures share: a stream, an axis, a call of an op."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import mlx.core as mx

from ..dispatch import functions

Stream = Any
"""A stream or device as MLX takes it, or None for the default."""


@contextmanager
def on(stream: Stream) -> Iterator[None]:
    """Run what is inside on a stream or device; None: on the default."""
    if stream is None:
        yield
        return
    with mx.stream(stream):
        yield


def run(op: str, arrays: tuple[Any, ...], numbers: Mapping[str, Any], stream: Stream) -> Any:
    """Call an op of the package."""
    if stream is None:
        return functions()[op](arrays, numbers)
    with on(stream):
        return functions()[op](arrays, numbers)


def along(op: str, x: Any, axis: int, function: Callable[[mx.array], Any]) -> Any:
    """Call a function of the last axis along another; its result keeps that axis in its place.

    Raises:
        ValueError: No such axis.
    """
    given = x if isinstance(x, mx.array) else mx.array(x)
    if not isinstance(axis, int) or not -given.ndim <= axis < given.ndim:
        raise ValueError(f"{op}: axis is {axis!r}; x has {given.ndim} dimensions")
    if axis in (-1, given.ndim - 1):
        return function(given)
    found = function(mx.moveaxis(given, axis, -1))
    if isinstance(found, tuple):
        return tuple(mx.moveaxis(f, -1, axis) for f in found)
    return mx.moveaxis(found, -1, axis)


def reduced(op: str, x: Any, axis: int, keepdims: bool, stream: Stream) -> mx.array:
    """Call an op that leaves one element of every row, along any axis."""

    def rows(last: mx.array) -> mx.array:
        found: mx.array = run(op, (last,), {}, stream)
        return mx.expand_dims(found, -1)

    with on(stream):
        kept: mx.array = along(op, x, axis, rows)
        return kept if keepdims else mx.squeeze(kept, axis)
