"""The weighted sum of what experts gave, by `moe_combine`, where gating is the layer's own."""

from __future__ import annotations

from types import FunctionType
from typing import Any

import mlx.core as mx

from ..code import is_any_of
from ..pattern import Call, ModelPattern, Serving
from .forms import MIXTRAL, combined


def _swap(kind: type, call: FunctionType, serving: Serving) -> Call | None:
    if not is_any_of(call, (MIXTRAL,)):
        return None

    def layer(self: Any, x: mx.array) -> Any:
        gates, k = self.gate(x), self.num_experts_per_tok
        index = mx.stop_gradient(mx.argpartition(-gates, kth=k - 1, axis=-1)[..., :k])
        scores = mx.take_along_axis(gates, index, axis=-1)
        share = mx.softmax(scores, axis=-1, precise=True)
        return combined(serving, self.switch_mlp(x, index), share)

    return layer


PATTERN = ModelPattern("moe_combine", "fast", ("moe_combine",), _swap)
