"""`nn.Softmax`, by `softmax`."""

from __future__ import annotations

from types import FunctionType
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from ..pattern import Call, ModelPattern, Serving


def _swap(kind: type, call: FunctionType, serving: Serving) -> Call | None:
    if kind is not nn.Softmax:
        return None

    def softmax(self: Any, x: mx.array) -> Any:
        run = serving.kernel("softmax", (x,))
        return call(self, x) if run is None else run(x)[0]

    return softmax


PATTERN = ModelPattern("softmax", "stable", ("softmax",), _swap)
