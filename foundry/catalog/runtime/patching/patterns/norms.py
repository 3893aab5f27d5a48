"""`nn.RMSNorm` and `nn.LayerNorm`, by `rms_norm` and `layer_norm`.

A class of a model's own is found by its form, as Gemma's, whose weights are less by one.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from ..code import is_any_of
from ..pattern import Call, ModelPattern, Serving

_PLAIN = (
    """
    def __call__(self, x):
        return mx.fast.rms_norm(x, self.weight, self.eps)
    """,
)
_LESS_BY_ONE = (
    """
    def __call__(self, x):
        return mx.fast.rms_norm(x, 1.0 + self.weight, self.eps)
    """,
    """
    def __call__(self, x):
        return mx.fast.rms_norm(x, weight=1.0 + self.weight, eps=self.eps)
    """,
)


def _swap(kind: type, call: FunctionType, serving: Serving) -> Call | None:
    if "rms_norm" in serving.functions:
        if kind is nn.RMSNorm or is_any_of(call, _PLAIN):
            return _rms_norm(call, serving)
        if is_any_of(call, _LESS_BY_ONE):
            return _rms_norm(call, serving, less=1.0)
    if kind is nn.LayerNorm and "layer_norm" in serving.functions:
        return _layer_norm(call, serving)
    return None


def _rms_norm(call: FunctionType, serving: Serving, less: float = 0.0) -> Call:
    """The norm by a kernel; the layer's weights are less than the kernel's by so much."""

    def norm(self: Any, x: mx.array) -> Any:
        # By attribute: a class of one's own may compute its weight.
        weight = less + self.weight if less else self.weight
        run = serving.kernel("rms_norm", (x, weight), {"eps": self.eps})
        return call(self, x) if run is None else run(x, weight)[0]

    norm._is_rms_norm = not less  # type: ignore[attr-defined]
    return norm


def is_rms_norm(layer: Any) -> bool:
    """Whether a layer is MLX's `RMSNorm`, with kernels or without, and its code no other."""
    call = type(layer).__call__
    return isinstance(layer, nn.RMSNorm) and (
        call is nn.RMSNorm.__call__ or getattr(call, "_is_rms_norm", False)
    )


def _layer_norm(call: FunctionType, serving: Serving) -> Call:
    def norm(self: Any, x: mx.array) -> Any:
        weight, bias = self.get("weight"), self.get("bias")
        if weight is None or bias is None:
            return call(self, x)
        run = serving.kernel("layer_norm", (x, weight, bias), {"eps": self.eps})
        return call(self, x) if run is None else run(x, weight, bias)[0]

    return norm


PATTERN = ModelPattern("norms", "stable", ("rms_norm", "layer_norm"), _swap)
