"""Experts whose weights are packed in 4 bits, a few tokens at a time.

mlx-lm's `SwitchGLU` asks three products; `gather_qmm_swiglu` makes two of them and the unit in one.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any

import mlx.core as mx

from ..pattern import Call, ModelPattern, Serving

_MODULE = "mlx_lm.models.switch_layers"
_SORTED_FROM = 64
"""From so many pairs of token and expert on, mlx-lm sorts them; that way stays its own."""


def _swap(kind: type, call: FunctionType, serving: Serving) -> Call | None:
    if (kind.__module__, kind.__name__) != (_MODULE, "SwitchGLU"):
        return None

    def experts(self: Any, x: mx.array, indices: mx.array) -> Any:
        if indices.size >= _SORTED_FROM or not _is_packed(self):
            return call(self, x, indices)
        rows, index = x.reshape(-1, x.shape[-1]), indices.reshape(-1, indices.shape[-1])
        index = mx.stop_gradient(index).astype(mx.uint32)
        given = (rows, *_weights(self.gate_proj), *_weights(self.up_proj), index)
        run = serving.kernel("gather_qmm_swiglu", given, {"group": self.gate_proj.group_size})
        if run is None:
            return call(self, x, indices)
        inner = run(*given)[0].reshape(*indices.shape, 1, -1)
        return self.down_proj(inner, indices, sorted_indices=False).squeeze(-2)

    return experts


def _weights(layer: Any) -> tuple[Any, Any, Any]:
    return layer["weight"], layer["scales"], layer["biases"]


def _is_packed(layer: Any) -> bool:
    """Whether both products are of 4-bit codes with scales and biases, and the unit is SwiGLU.

    What derives from these classes may compute something else.
    """
    products = (layer.gate_proj, layer.up_proj)
    return _is_of(layer.activation, "SwiGLU") and all(
        _is_of(p, "QuantizedSwitchLinear")
        and p.bits == 4
        and p.mode == "affine"
        and "bias" not in p
        for p in products
    )


def _is_of(layer: Any, name: str) -> bool:
    """Whether a layer is of the class of that name of mlx-lm, with kernels or without."""
    return (type(layer).__module__, type(layer).__name__) == (_MODULE, name)


PATTERN = ModelPattern("moe_dispatch", "edge", ("gather_qmm_swiglu",), _swap)
