"""What layers of MLX and mlx-lm run where a pattern puts an op, if no baseline says the same.

A kernel has to beat this code, since it takes its place, and in 16 bits has to give its bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from .arguments import Record
from .running import ShippedBaseline

_NAME = "the code of the layer"


@partial(mx.compile, shapeless=True)
def _swiglu(gate: mx.array, up: mx.array) -> Any:
    return nn.silu(gate) * up


def _geglu(gate: mx.array, up: mx.array) -> Any:
    return nn.gelu_approx(gate) * up


def _geglu_erf(gate: mx.array, up: mx.array) -> Any:
    return nn.gelu(gate) * up


def _softmax(x: mx.array) -> mx.array:
    return mx.softmax(x, axis=-1)


def _attention(q: mx.array, k: mx.array, v: mx.array, *, scale: float) -> mx.array:
    mask = None if q.shape[2] == 1 else "causal"
    return mx.fast.scaled_dot_product_attention(q, k, v, scale=scale, mask=mask)


def _gating(x: mx.array, *, k: int, renormalised: bool) -> tuple[mx.array, mx.array]:
    if renormalised:
        index = mx.argpartition(-x, kth=k - 1, axis=-1)[..., :k]
        return mx.softmax(mx.take_along_axis(x, index, axis=-1), axis=-1, precise=True), index
    share = mx.softmax(x, axis=-1, precise=True)
    index = mx.argpartition(share, kth=-k, axis=-1)[..., -k:]
    return mx.take_along_axis(share, index, axis=-1), index


_FUNCTIONS: Mapping[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    "swiglu": (_swiglu, ()),
    "geglu": (_geglu, ()),
    "geglu_erf": (_geglu_erf, ()),
    "softmax": (_softmax, ()),
    "attention": (_attention, ("scale",)),
    "topk_gating": (_gating, ("k", "renormalised")),
}
"""By op: the code, and the numbers that it asks for."""


def replaced(op: Record) -> ShippedBaseline | None:
    """The code of the layers that an op is put into; None where its baselines hold that."""
    function, numbers = _FUNCTIONS.get(op["name"], (None, ()))
    # A user's own op of that name may be another.
    if function is None or not {*numbers} <= {*op["params"], *op["axes"]}:
        return None
    return ShippedBaseline(_NAME, function, numbers, folds=op["batch_axis"] is not None)


def bits_of(op: Record, fallback: ShippedBaseline) -> ShippedBaseline:
    """The code whose bits an exact caller is to get."""
    return replaced(op) or fallback
