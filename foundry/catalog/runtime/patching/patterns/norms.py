"""`nn.RMSNorm` and `nn.LayerNorm`, by `rms_norm` and `layer_norm`."""

from __future__ import annotations

from types import FunctionType
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from ..pattern import Call, ModelPattern, Serving


def _swap(kind: type, call: FunctionType, serving: Serving) -> Call | None:
    if kind is nn.RMSNorm and "rms_norm" in serving.functions:
        return _rms_norm(call, serving)
    if kind is nn.LayerNorm and "layer_norm" in serving.functions:
        return _layer_norm(call, serving)
    return None


def _rms_norm(call: FunctionType, serving: Serving) -> Call:
    def norm(self: Any, x: mx.array) -> Any:
        weight = self["weight"]
        run = serving.kernel("rms_norm", (x, weight), {"eps": self.eps})
        return call(self, x) if run is None else run(x, weight)[0]

    return norm


def _layer_norm(call: FunctionType, serving: Serving) -> Call:
    def norm(self: Any, x: mx.array) -> Any:
        weight, bias = self.get("weight"), self.get("bias")
        if weight is None or bias is None:
            return call(self, x)
        run = serving.kernel("layer_norm", (x, weight, bias), {"eps": self.eps})
        return call(self, x) if run is None else run(x, weight, bias)[0]

    return norm


PATTERN = ModelPattern("norms", "stable", ("rms_norm", "layer_norm"), _swap)
