"""Layers of a mixture of experts as mlx-lm writes them: gating, experts, and their weighted sum.

Two patterns meet in such a layer. Each asks for its part of it; the other part stays the layer's
own code, statement by statement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import mlx.core as mx

from ..code import is_any_of
from ..pattern import Call, Serving

MIXTRAL = """
def __call__(self, x):
    gates = self.gate(x)

    k = self.num_experts_per_tok
    inds = mx.stop_gradient(mx.argpartition(-gates, kth=k - 1, axis=-1)[..., :k])
    scores = mx.take_along_axis(gates, inds, axis=-1)
    scores = mx.softmax(scores, axis=-1, precise=True)

    y = self.switch_mlp(x, inds)
    y = (y * scores[..., None]).sum(axis=-2)

    return y
"""
QWEN_MOE = """
def __call__(self, x):
    if self.sharding_group is not None:
        x = sum_gradients(self.sharding_group)(x)

    gates = self.gate(x)
    gates = mx.softmax(gates, axis=-1, precise=True)

    k = self.top_k
    inds = mx.argpartition(gates, kth=-k, axis=-1)[..., -k:]
    inds = mx.stop_gradient(inds)
    scores = mx.take_along_axis(gates, inds, axis=-1)
    if self.norm_topk_prob:
        scores /= mx.sum(scores, axis=-1, keepdims=True)

    y = self.switch_mlp(x, inds)
    y = (y * scores[..., None]).sum(axis=-2).astype(y.dtype)

    if self.sharding_group is not None:
        y = mx.distributed.all_sum(y, group=self.sharding_group)

    return y
"""


def _mixtral_routes(self: Any, gates: mx.array) -> tuple[mx.array, mx.array]:
    k = self.num_experts_per_tok
    index = mx.stop_gradient(mx.argpartition(-gates, kth=k - 1, axis=-1)[..., :k])
    share = mx.take_along_axis(gates, index, axis=-1)
    return mx.softmax(share, axis=-1, precise=True), index


def _qwen_routes(self: Any, gates: mx.array) -> tuple[mx.array, mx.array]:
    gates, k = mx.softmax(gates, axis=-1, precise=True), self.top_k
    index = mx.stop_gradient(mx.argpartition(gates, kth=-k, axis=-1)[..., -k:])
    share = mx.take_along_axis(gates, index, axis=-1)
    if self.norm_topk_prob:
        share /= mx.sum(share, axis=-1, keepdims=True)
    return share, index


@dataclass(frozen=True)
class ExpertsForm:
    """One way in which mlx-lm writes the layer."""

    source: str
    routes: Callable[[Any, mx.array], tuple[mx.array, mx.array]]
    """The layer's own gating: from the layer and its scores to shares and experts."""
    slots: str
    """Attribute that says how many experts a token gets."""
    keeps_dtype: bool
    """Whether the sum is cast to the dtype of what the experts gave."""


_FORMS = (
    ExpertsForm(MIXTRAL, _mixtral_routes, "num_experts_per_tok", keeps_dtype=False),
    ExpertsForm(QWEN_MOE, _qwen_routes, "top_k", keeps_dtype=True),
)


@dataclass(frozen=True)
class ExpertsLayer:
    """A layer of which kernels take some part."""

    own: FunctionType
    """The layer's code as it was."""
    form: ExpertsForm
    serving: Serving
    gates: bool = False
    """Whether gating asks for a kernel."""
    combines: bool = False
    """Whether the sum asks for a kernel."""

    @property
    def call(self) -> Call:
        """The new `__call__`; it knows what it was made of."""

        def layer(this: Any, x: mx.array) -> Any:
            if getattr(this, "sharding_group", None) is not None:
                return self.own(this, x)
            share, index = self._routed(this, this.gate(x))
            return self._combined(this.switch_mlp(x, index), share)

        layer._experts = self  # type: ignore[attr-defined]
        return layer

    def _routed(self, this: Any, gates: mx.array) -> tuple[mx.array, mx.array]:
        run = None
        if self.gates:
            whole = not getattr(this, "norm_topk_prob", True)
            numbers = {"k": getattr(this, self.form.slots), "renormalised": not whole}
            run = self.serving.kernel("topk_gating", (gates,), numbers)
        if run is None:
            return self.form.routes(this, gates)
        share, index = run(gates)
        return share, mx.stop_gradient(index)

    def _combined(self, y: mx.array, share: mx.array) -> Any:
        run = None
        # The kernel gives the dtype of y, and so has the layer's own code to.
        if self.combines and (self.form.keeps_dtype or y.dtype == share.dtype):
            run = self.serving.kernel("moe_combine", (y, share))
        if run is not None:
            return run(y, share)[0]
        found = (y * share[..., None]).sum(axis=-2)
        return found.astype(y.dtype) if self.form.keeps_dtype else found


def experts_layer(call: FunctionType, serving: Serving) -> ExpertsLayer | None:
    """The layer that a `__call__` is, as written or with a part in kernels; None: it is another."""
    if (made := getattr(call, "_experts", None)) is not None:
        found: ExpertsLayer = made
        return found
    form = next((form for form in _FORMS if is_any_of(call, (form.source,))), None)
    return None if form is None else ExpertsLayer(call, form, serving)
