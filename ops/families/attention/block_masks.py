"""Block masks: which blocks of queries and keys hold a pair that is seen, and which no other."""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.axis import Axis, axes
from ops.declaring.cases import cases, labelled
from ops.families.forms.indexed import indexed
from ops.fills import Segments
from ops.matches import Exact
from ops.workload import Tensor

EMPTY, PARTIAL, FULL = 0, 1, 2
AXES = "seq block"


def states_of(seen: Any, q_block: int, k_block: int) -> Any:
    """The state of every block of a matrix of pairs.

    Args:
        seen: Booleans of shape (queries, keys).
        q_block: Queries of a block.
        k_block: Keys of a block; the last block of either may be smaller.

    Returns:
        uint32 of shape (blocks of queries, blocks of keys): `EMPTY`, `PARTIAL` or `FULL`.
    """
    rows = range(0, seen.shape[0], q_block)
    columns = range(0, seen.shape[1], k_block)
    found = np.zeros((len(rows), len(columns)), np.uint32)
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            part = seen[row : row + q_block, column : column + k_block]
            found[i, j] = FULL if part.all() else PARTIAL if part.any() else EMPTY
    return found


def bounds_of(states: Any) -> tuple[Any, Any]:
    """Of every block of queries the first block of keys with a pair seen, and the one after the
    last; 0 and 0 where there is none.
    """
    live = states > EMPTY
    first = np.where(live.any(axis=1), live.argmax(axis=1), 0)
    until = np.where(live.any(axis=1), states.shape[1] - live[:, ::-1].argmax(axis=1), 0)
    return first.astype(np.uint32), until.astype(np.uint32)


def _document(segments: Any, block: int) -> Any:
    place = np.arange(len(segments))
    seen = (segments[:, None] == segments[None]) & (segments[None] >= 0)
    states = states_of(seen & (place[None] <= place[:, None]), block, block)
    if not states.size:
        return states, *(np.zeros(0, np.uint32) for _ in range(2))
    return states, *bounds_of(states)


block_mask_document = indexed(
    "block_mask_document",
    "attention",
    axes("seq", Axis("block", values=(16, 32, 64, 128), compiled=True)),
    (Tensor("segments", ("seq",), "int32", Segments(packed=12)),),
    (
        Tensor("states", ("ceildiv(seq, block)", "ceildiv(seq, block)"), "uint32", match=Exact()),
        Tensor("begins", ("ceildiv(seq, block)",), "uint32", match=Exact()),
        Tensor("ends", ("ceildiv(seq, block)",), "uint32", match=Exact()),
    ),
    np=_document,
    mlx="""
blocks = (seq + block - 1) // block
padded = mx.pad(segments, (0, blocks * block - seq), constant_values=-2)
place = mx.arange(blocks * block)
inside = (place < seq)[:, None] & (place < seq)[None]
same = (padded[:, None] == padded[None]) & (padded[None] >= 0)
seen = same & (place[None] <= place[:, None]) & inside
def each(pairs):
    return mx.sum(pairs.reshape(blocks, block, blocks, block).astype(mx.int32), axis=(1, 3))
count, whole = each(seen), each(inside)
states = mx.where(count == 0, 0, mx.where(count == whole, 2, 1)).astype(mx.uint32)
live = (states > 0).astype(mx.int32)
any_live = mx.max(live, axis=1) > 0
first = mx.where(any_live, mx.argmax(live, axis=1), 0).astype(mx.uint32)
behind = mx.argmax(live[:, ::-1], axis=1).astype(mx.int32)
return states, first, mx.where(any_live, blocks - behind, 0).astype(mx.uint32)
""",
    metal="""
const uint blocks = (seq + block - 1) / block;
uint begun = 0;
uint ended = 0;
for (uint j = 0; j < blocks; ++j) {
  uint count = 0;
  uint whole = 0;
  for (uint q = i * block; q < min((i + 1) * block, seq); ++q) {
    for (uint k = j * block; k < min((j + 1) * block, seq); ++k) {
      count += k <= q && segments[q] == segments[k] && segments[k] >= 0 ? 1u : 0u;
      ++whole;
    }
  }
  states[i * blocks + j] = count == 0 ? 0u : count == whole ? 2u : 1u;
  begun = count > 0 && ended == 0 ? j : begun;
  ended = count > 0 ? j + 1 : ended;
}
begins[i] = begun;
ends[i] = ended;
""",
    count="ceildiv(seq, block)",
    counted="(segments_shape[0] + SIZE_BLOCK - 1) / SIZE_BLOCK",
    flops="seq",
    plain_flops="seq * seq * 8",
    cases=(
        cases(AXES, (1, 16), (64, 16), (100, 32)),
        cases(AXES, (0, 16), (1, 32), (31, 64), (67, 16), (129, 128), (257, 32)),
        (
            labelled(AXES, "documents of 1024 tokens", 1024, 64),
            labelled(AXES, "12 documents, 8192 tokens", 8192, 128),
            labelled(AXES, "12 documents, 32768 tokens", 32768, 128),
        ),
    ),
    formula="Causal attention within documents, in blocks of `block` places: states[i, j] is 0 "
    "where no query of block i sees a key of block j, 2 where every one sees every key, else 1; "
    "begins[i] and ends[i] bound the blocks that are not 0 (0 and 0 where there is none). A query "
    "sees the keys up to its own with its segment, which is not -1.",
)
