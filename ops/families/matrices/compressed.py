"""Attention's scores straight from keys that lie in a basis of few directions."""

from __future__ import annotations

from ops.axis import axes
from ops.declaring.cases import cases, labelled
from ops.families.forms.indexed import indexed
from ops.families.matrices.low_rank import CODES, RANK
from ops.matches import Close
from ops.parameters import Range
from ops.workload import Tensor

SCORED = "tokens heads rank"
skv_scores = indexed(
    "skv_scores",
    "caches",
    axes("tokens heads", RANK),
    (Tensor("asked", ("heads", "rank")), *CODES),
    (Tensor("out", ("heads", "tokens"), match=Close("rank")),),
    np=lambda asked, codes, scales, biases, scale: (
        scale * ((codes * scales[..., None] + biases[..., None]) * asked).sum(axis=-1).T
    ),
    steps=lambda asked, codes, scales, biases, scale: (
        scale * ((codes * scales[..., None] + biases[..., None]) * asked).sum(axis=-1).T
    ),
    mlx="""
z = codes.astype(mx.float32) * scales[..., None] + biases[..., None]
return (scale * mx.sum(z * asked.astype(mx.float32), axis=-1)).T.astype(dtype)
""",
    metal="""
const uint head = i / tokens;
const size_t row = size_t(i % tokens) * heads + head;
float sum = 0.0f;
for (uint r = 0; r < rank; ++r) {
  sum += float(asked[head * rank + r]) * (float(codes[row * rank + r]) * scales[row] + biases[row]);
}
out[i] = T(scale * sum);
""",
    flops="4 * tokens * heads * rank",
    params={"scale": 0.125},
    ranges={"scale": Range(-1.0, 1.0, usual=(0.0, 0.0625, 0.125))},
    cases=(
        (
            *cases(SCORED, (1, 1, 8), (3, 2, 16), (64, 4, 8)),
            *cases(SCORED, (16, 3, 16), scale=0.5),
        ),
        (
            *cases(SCORED, (0, 2, 8), (2, 0, 16), (67, 1, 8), (33, 5, 32), (257, 3, 16)),
            *cases(SCORED, (31, 7, 8), scale=-0.25),
        ),
        (
            labelled(SCORED, "llama-3.2-1b decode, 1024 keys", 1024, 8, 16),
            labelled(SCORED, "qwen3-0.6b decode, 4096 keys", 4096, 8, 16),
        ),
    ),
    formula="Scores of one query against what `skv_project_quantize` put away, with the query in "
    "the same basis, asked[h] = q[h] basis[h]: z = codes * scales + biases, out[h, t] = scale sum "
    "over r of asked[h, r] z[t, h, r]. No key is restored.",
)
