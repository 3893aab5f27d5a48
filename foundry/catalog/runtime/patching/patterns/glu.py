"""The gated linear unit of mlx-lm, `swiglu(gate, up)`, wherever a layer calls it by that name.

GELU in its place, as Gemma has it, is found by the form of the layer.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any

import mlx.core as mx

from ..code import global_called, is_any_of, with_globals
from ..pattern import Call, ModelPattern, Serving

_MODULES = ("mlx_lm.models.activations",)
_GELU = (
    """
    def __call__(self, x):
        return self.down_proj(nn.gelu_approx(self.gate_proj(x)) * self.up_proj(x))
    """,
    """
    def __call__(self, x):
        return self.down_proj(nn.gelu(self.gate_proj(x)) * self.up_proj(x))
    """,
)


def _swap(kind: type, call: FunctionType, serving: Serving) -> Call | None:
    original = global_called(call, "swiglu", _MODULES)
    if original is not None and "swiglu" in serving.functions:
        return with_globals(call, {"swiglu": _swiglu(original, serving)})
    for source, op in zip(_GELU, ("geglu", "geglu_erf"), strict=True):
        if op in serving.functions and is_any_of(call, (source,)):
            return _gelu(call, op, serving)
    return None


def _swiglu(original: Any, serving: Serving) -> Call:
    def swiglu(gate: mx.array, x: mx.array) -> Any:
        run = serving.kernel("swiglu", (gate, x))
        return original(gate, x) if run is None else run(gate, x)[0]

    return swiglu


def _gelu(call: FunctionType, op: str, serving: Serving) -> Call:
    def layer(self: Any, x: mx.array) -> Any:
        gate, up = self.gate_proj(x), self.up_proj(x)
        run = serving.kernel(op, (gate, up))
        return call(self, x) if run is None else self.down_proj(run(gate, up)[0])

    return layer


PATTERN = ModelPattern("glu", "stable", ("swiglu", "geglu", "geglu_erf"), _swap)
