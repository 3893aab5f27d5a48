"""One step of decoding in mlx-lm's `scaled_dot_product_attention`, by `attention`."""

from __future__ import annotations

from types import FunctionType
from typing import Any

import mlx.core as mx

from ..code import global_called, with_globals
from ..pattern import Call, ModelPattern, Serving

_NAME = "scaled_dot_product_attention"
_MODULES = ("mlx_lm.models.base",)


def _swap(kind: type, call: FunctionType, serving: Serving) -> Call | None:
    original = global_called(call, _NAME, _MODULES)
    return with_globals(call, {_NAME: _attention(original, serving)}) if original else None


def _attention(original: Any, serving: Serving) -> Call:
    def attention(
        queries: mx.array,
        keys: Any,
        values: Any,
        cache: Any = None,
        scale: float = 1.0,
        mask: Any = None,
        sinks: Any = None,
    ) -> Any:
        run = None
        # A quantised cache hands over tuples; a mask hides keys that a batch was padded with.
        if queries.shape[2] == 1 and mask is None and sinks is None and not hasattr(cache, "bits"):
            run = serving.kernel("attention", (queries, keys, values), {"scale": scale})
        if run is None:
            return original(queries, keys, values, cache, scale=scale, mask=mask, sinks=sinks)
        return run(queries, keys, values)[0]

    return attention


PATTERN = ModelPattern("attention_decode", "fast", ("attention",), _swap)
