"""The gradients of attention's members, whole and in parts."""

from __future__ import annotations

from ops.declaring.masking import AS_IT_IS, CAUSAL, EVERY_KEY
from ops.families.attention.attention import attention
from ops.families.attention.backward import attention_gradient
from ops.families.attention.layouts import attention_sequence_first, heads_first, sequence_first
from ops.families.attention.modifiers import (
    ALIBI,
    ANY_KEY,
    CHECKERBOARD,
    DOCUMENT,
    HEAD_OFFSET,
    OR_MEAN,
    SOFTCAP,
    TABLE,
    UPPER_LEFT,
    WINDOW,
    attention_alibi,
    attention_checkerboard,
    attention_document,
    attention_document_mean,
    attention_full,
    attention_head_offset,
    attention_sinks,
    attention_sliding_window,
    attention_softcap,
    attention_table,
    attention_upper_left,
)
from ops.families.attention.packings import (
    GRAPH,
    SQUARED,
    T5,
    T5_SEEN,
    TWICE,
    WAVE,
    attention_graph,
    attention_squared,
    attention_t5,
    attention_twice,
    attention_wave,
)
from ops.spec import Op

attention_vjp = attention_gradient("attention_vjp", attention, CAUSAL)
attention_full_vjp = attention_gradient("attention_full_vjp", attention_full, EVERY_KEY)
attention_upper_left_vjp = attention_gradient(
    "attention_upper_left_vjp", attention_upper_left, UPPER_LEFT
)
attention_sliding_window_vjp = attention_gradient(
    "attention_sliding_window_vjp", attention_sliding_window, WINDOW
)
attention_document_vjp = attention_gradient("attention_document_vjp", attention_document, DOCUMENT)
attention_document_mean_vjp = attention_gradient(
    "attention_document_mean_vjp", attention_document_mean, ANY_KEY, OR_MEAN
)
attention_sinks_vjp = attention_gradient("attention_sinks_vjp", attention_sinks, CAUSAL, sinks=True)
attention_softcap_vjp = attention_gradient(
    "attention_softcap_vjp", attention_softcap, CAUSAL, SOFTCAP
)
attention_alibi_vjp = attention_gradient("attention_alibi_vjp", attention_alibi, CAUSAL, ALIBI)
attention_table_vjp = attention_gradient("attention_table_vjp", attention_table, EVERY_KEY, TABLE)
attention_t5_vjp = attention_gradient("attention_t5_vjp", attention_t5, T5_SEEN, T5)
attention_graph_vjp = attention_gradient("attention_graph_vjp", attention_graph, EVERY_KEY, GRAPH)
attention_head_offset_vjp = attention_gradient(
    "attention_head_offset_vjp", attention_head_offset, CAUSAL, HEAD_OFFSET
)
attention_checkerboard_vjp = attention_gradient(
    "attention_checkerboard_vjp", attention_checkerboard, EVERY_KEY, CHECKERBOARD
)
attention_twice_vjp = attention_gradient("attention_twice_vjp", attention_twice, EVERY_KEY, TWICE)
attention_squared_vjp = attention_gradient(
    "attention_squared_vjp", attention_squared, EVERY_KEY, SQUARED
)
attention_wave_vjp = attention_gradient("attention_wave_vjp", attention_wave, EVERY_KEY, WAVE)
_MOVED = "q, k, v, dout = q.swapaxes(1, 2), k.swapaxes(1, 2), v.swapaxes(1, 2), dout.swapaxes(1, 2)"


def _of_sequence_first() -> Op:
    member = attention_gradient("attention_sequence_first_vjp", heads_first(), CAUSAL)
    text = str(member.baselines["explicit"]).replace("(dtype)", "(dtype).swapaxes(1, 2)")
    forward = attention_sequence_first.name
    return sequence_first(member.name, member, {"explicit": _MOVED + text}, gradient_of=forward)


attention_sequence_first_vjp = _of_sequence_first()
_PARTS = {"dq": ("dq",), "dkdv": ("dk", "dv")}
"""The outputs of a kernel of its own, by the end of its name."""
_IN_PARTS = (
    (attention, CAUSAL, AS_IT_IS),
    (attention_sliding_window, WINDOW, AS_IT_IS),
    (attention_document, DOCUMENT, AS_IT_IS),
    (attention_softcap, CAUSAL, SOFTCAP),
)
"""Members whose forward pass saves its sums: `attention_lse` and those that end in `_lse`."""
parts: tuple[Op, ...] = tuple(
    attention_gradient(f"{member.name}_{end}", member, mask, score, wanted=wanted)
    for member, mask, score in _IN_PARTS
    for end, wanted in _PARTS.items()
)
