"""Attention with the signature of `mx.fast.scaled_dot_product_attention`."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from .calls import Stream, on, run


def attention(
    q: Any,
    k: Any,
    v: Any,
    *,
    scale: float | None = None,
    mask: Any = None,
    sinks: Any = None,
    force_fused: bool = False,
    stream: Stream = None,
) -> mx.array:
    """Attention with grouped queries, as `mx.fast.scaled_dot_product_attention`.

    Args:
        q: `[batch, heads, q_len, head_dim]`.
        k: `[batch, kv_heads, kv_len, head_dim]`.
        v: The same.
        scale: Of the scores; None: `head_dim ** -0.5`.
        mask: None, `"causal"`, or an array that is added or chooses.
        sinks: A score of each head for nothing at all.
        force_fused: MLX's own kernel, or an error.
        stream: A stream or device.

    Raises:
        ValueError: A mask or scale that is none of these, or arrays that do not fit.
    """
    if isinstance(mask, str) and mask != "causal":
        raise ValueError(f"attention: mask is '{mask}'; give None, 'causal' or an array")
    if not (scale is None or hasattr(type(scale), "__float__")):
        raise ValueError(f"attention: scale is {scale!r}; give a number")
    factor = float(scale) if scale is not None else max(q.shape[-1], 1) ** -0.5
    if sinks is None and not force_fused and _is_causal(q, k, v, mask):
        found: mx.array = run("attention", (q, k, v), {"scale": factor}, stream)
        return found
    with on(stream):
        return mx.fast.scaled_dot_product_attention(
            q, k, v, scale=factor, mask=mask, sinks=sinks, force_fused=force_fused
        )


def _is_causal(q: Any, k: Any, v: Any, mask: Any) -> bool:
    """Whether the op of the package says the same: every query sees the keys up to its own."""
    if mask is not None and not isinstance(mask, str):
        return False
    queries, keys, values = q.shape, k.shape, v.shape  # once: MLX makes a tuple each time
    if not len(queries) == len(keys) == len(values) == 4 or values[3] != queries[3]:
        return False
    return (mask is not None or queries[2] == 1) and bool(queries[2] <= keys[2])
