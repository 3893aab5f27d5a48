"""Gating of a mixture of experts, by `topk_gating`: found by the form of the layer."""

from __future__ import annotations

from types import FunctionType
from typing import Any

import mlx.core as mx

from ..code import is_any_of
from ..pattern import Call, ModelPattern, Serving
from .forms import MIXTRAL, QWEN_MOE, combined


def _swap(kind: type, call: FunctionType, serving: Serving) -> Call | None:
    if is_any_of(call, (MIXTRAL,)):
        return _layer(call, serving, slots="num_experts_per_tok")
    if is_any_of(call, (QWEN_MOE,)):
        return _layer(call, serving, slots="top_k")
    return None


def _layer(call: FunctionType, serving: Serving, slots: str) -> Call:
    def layer(self: Any, x: mx.array) -> Any:
        if getattr(self, "sharding_group", None) is not None:
            return call(self, x)
        gates = self.gate(x)
        whole = not getattr(self, "norm_topk_prob", True)
        numbers = {"k": getattr(self, slots), "renormalised": not whole}
        run = serving.kernel("topk_gating", (gates,), numbers)
        if run is None:
            return call(self, x)
        share, index = run(gates)
        return combined(serving, self.switch_mlp(x, index), share)

    return layer


PATTERN = ModelPattern("moe_gating", "fast", ("topk_gating",), _swap)
