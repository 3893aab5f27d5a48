"""How hard an op is to make fast, from 1 to 5: the order in which they are best searched.

1. One element after another.
2. Rows: a reduction, or elements that share a row.
3. Places: indices, packing, routing, and gradients of rows.
4. Tiles: matrix products, attention, scans.
5. Tiles with places: pages, blocks, experts, and gradients of tiles.
"""

from __future__ import annotations

from ops.spec import Op

_HARDEST, _UNKNOWN = 5, 3
_FAMILIES = {
    "elementwise": 1,
    "glu": 1,
    "norms": 2,
    "optimisers": 2,
    "pooling": 2,
    "positional": 2,
    "reductions": 2,
    "selection": 2,
    "softmax": 2,
    "caches": 3,
    "gather": 3,
    "losses": 3,
    "moe": 3,
    "movement": 3,
    "quantised": 3,
    "sampling": 3,
    "stencils": 3,
    "attention": 4,
    "gemm": 4,
    "scan": 4,
}
_OPS = {
    "swiglu_vjp": 2,
    "attention_delta": 2,
    "qmm_4bit": 4,
    "qmv_swiglu": 4,
    "attention_block_sparse": 5,
    "attention_decode_kv8": 5,
    "attention_decode_mla": 5,
    "attention_dkdv": 5,
    "attention_dq": 5,
    "attention_paged_decode": 5,
    "gated_delta": 5,
    "gather_qmm_combine": 5,
    "gather_qmm_swiglu": 5,
    "moe_expert_full": 5,
    "rope_attention": 5,
    "selective_scan": 5,
}
"""Ops that are easier or harder than their family."""


def tier(op: Op) -> int:
    """The tier of an op; one of a family that is not known here is in the middle."""
    if op.name in _OPS:
        return _OPS[op.name]
    found = _FAMILIES.get(op.family, _UNKNOWN)
    return min(_HARDEST, found + (1 if op.gradient_of and found > 1 else 0))
