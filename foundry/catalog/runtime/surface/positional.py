"""Rotary embedding with the signature of `mx.fast.rope`."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from ..arguments import array_of
from .calls import Stream, on, run


def rope(
    x: Any,
    dims: int | None = None,
    *,
    traditional: bool = False,
    base: float | None = 10000.0,
    scale: float = 1.0,
    offset: Any = 0,
    freqs: Any = None,
    stream: Stream = None,
) -> mx.array:
    """Rotary embedding, as `mx.fast.rope`.

    Args:
        x: `[batch, heads, seq, head_dim]`, or with more or fewer dimensions before `seq`.
        dims: How many elements of the last axis turn; None: all.
        traditional: Turn pairs of neighbours in place of halves.
        base: Of the angles; None where `freqs` are given.
        scale: Factor of the positions.
        offset: Position of the first row: one number, or one for each batch.
        freqs: Wave lengths in place of a base.
        stream: A stream or device.
    """
    given = array_of("rope: x", x)
    width = given.shape[-1] if given.ndim else 0
    wide = width if dims is None else dims
    is_plain = not traditional and scale == 1.0 and freqs is None and base is not None
    if is_plain and wide == width and given.ndim >= 3 and _is_one(offset):
        axes = given if given.ndim >= 4 else given[None]
        found: mx.array = run("rope", (axes,), {"base": base, "offset": offset}, stream)
        return found if given.ndim >= 4 else found[0]
    with on(stream):
        return mx.fast.rope(
            given,
            wide,
            traditional=traditional,
            base=base,
            scale=scale,
            offset=offset,
            freqs=freqs,
        )


def _is_one(offset: Any) -> bool:
    """Whether all of the batch begins at one position, known before anything is computed."""
    return isinstance(offset, int) and not isinstance(offset, bool)
