"""The residual stream and the norm after attention in one, by `add_rms_norm`.

Found by the form of the layer: a Llama-like block, written as mlx-lm writes it.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any

import mlx.core as mx

from ..code import is_any_of
from ..pattern import Call, ModelPattern, Serving
from .norms import is_rms_norm

_FORMS = (
    """
    def __call__(self, x, mask=None, cache=None):
        r = self.self_attn(self.input_layernorm(x), mask, cache)
        h = x + r
        r = self.mlp(self.post_attention_layernorm(h))
        out = h + r
        return out
    """,
    """
    def __call__(self, x, mask=None, cache=None):
        r = self.self_attn(self.input_layernorm(x), mask, cache)
        h = x + r
        r = self.mlp(self.post_attention_layernorm(h))
        return h + r
    """,
)


def _swap(kind: type, call: FunctionType, serving: Serving) -> Call | None:
    if not is_any_of(call, _FORMS):
        return None

    def block(self: Any, x: mx.array, mask: Any = None, cache: Any = None) -> Any:
        norm = self.post_attention_layernorm
        r = self.self_attn(self.input_layernorm(x), mask, cache)
        run = None
        if is_rms_norm(norm):
            run = serving.kernel("add_rms_norm", (x, r, norm["weight"]), {"eps": norm.eps})
        if run is None:
            h = x + r
            return h + self.mlp(norm(h))
        normal, h = run(x, r, norm["weight"])
        return h + self.mlp(normal)

    return block


PATTERN = ModelPattern("residual_norm", "fast", ("add_rms_norm",), _swap)
