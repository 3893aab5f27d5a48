"""Layers of a mixture of experts as mlx-lm writes them, and what they end in."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from ..pattern import Serving

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


def combined(serving: Serving, y: mx.array, share: mx.array) -> Any:
    """What the experts of each token gave, weighted and summed: by `moe_combine` where it wins."""
    run = None
    if "moe_combine" in serving.functions:
        run = serving.kernel("moe_combine", (y, share))
    if run is None:
        return (y * share[..., None]).sum(axis=-2).astype(y.dtype)
    return run(y, share)[0]
