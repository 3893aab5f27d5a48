"""`nn.RoPE` over whole heads, half-split and unscaled, by `rope`."""

from __future__ import annotations

from types import FunctionType
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from ..pattern import Call, ModelPattern, Serving


def _swap(kind: type, call: FunctionType, serving: Serving) -> Call | None:
    if kind is not nn.RoPE:
        return None

    def rope(self: Any, x: mx.array, offset: Any = 0) -> Any:
        # An offset that is an array is one for each of a batch, or not computed yet.
        is_plain = not self.traditional and self.scale == 1.0 and type(offset) is int
        if not is_plain or x.ndim != 4 or x.shape[-1] != self.dims:
            return call(self, x, offset)
        numbers = {"base": float(self.base), "offset": offset}
        run = serving.kernel("rope", (x,), numbers)
        return call(self, x, offset) if run is None else run(x)[0]

    return rope


PATTERN = ModelPattern("rope", "stable", ("rope",), _swap)
