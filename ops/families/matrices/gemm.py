"""Matrix products."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from ops.axis import axes
from ops.declaring.cases import cases, labelled
from ops.families.forms.indexed import indexed
from ops.matches import Close
from ops.spec import Op
from ops.workload import Tensor, Workload

AXES = "m n k"


def _matmul(inputs: Mapping[str, NDArray[Any]], workload: Workload) -> tuple[NDArray[Any], ...]:
    return (inputs["a"] @ inputs["b"].T,)


matmul = Op(
    name="matmul",
    family="gemm",
    formula="out[i, j] = sum over p < k of a[i, p] * b[j, p], that is out = a b^T: b is stored as "
    "the weight of a linear layer, one row per output. Sums are carried in float32 whatever the "
    "element type, and rounded once. k = 0 gives zeros.",
    axes=axes("m n k"),
    inputs=(Tensor("a", ("m", "k")), Tensor("b", ("n", "k"))),
    outputs=(Tensor("out", ("m", "n"), match=Close("k")),),
    oracle=_matmul,
    baselines={
        "a @ b.T": "a @ b.T",
        # MLX on a CPU has BLAS for float32 alone, so this can be the faster way in half precision.
        "in float32": "(a.astype(mx.float32) @ b.astype(mx.float32).T).astype(dtype)",
    },
    flops="2 * m * n * k",
    nonfinite="propagate",
    visible=cases(
        AXES,
        *((1, 1, 1), (4, 8, 16), (16, 16, 16), (5, 33, 20), (32, 48, 64), (1, 128, 96)),
        (64, 64, 64),
    ),
    hidden=cases(
        AXES,
        *((0, 4, 5), (4, 0, 5), (3, 4, 0), (1, 1, 257), (7, 13, 31), (2, 3, 5), (33, 17, 65)),
        *((1, 257, 67), (127, 3, 129), (65, 67, 63), (129, 65, 33), (17, 1, 576)),
    ),
    bench=(
        labelled(AXES, "smollm2-135m decode, query projection", 1, 576, 576),
        labelled(AXES, "smollm2-135m decode, up projection", 1, 1536, 576),
        labelled(AXES, "qwen3-0.6b decode, up projection", 1, 3072, 1024),
        labelled(AXES, "llama-3.2-1b decode, up projection", 1, 8192, 2048),
        labelled(AXES, "smollm2-135m decode, vocabulary", 1, 49152, 576),
        labelled(AXES, "smollm2-135m prefill 128, up projection", 128, 1536, 576),
        labelled(AXES, "qwen3-0.6b prefill 512, up projection", 512, 3072, 1024),
        labelled(AXES, "llama-3.2-1b prefill 512, up projection", 512, 8192, 2048),
    ),
)
ane_matmul = indexed(
    "ane_matmul",
    "gemm",
    axes("m n k"),
    (Tensor("a", ("m", "k")), Tensor("b", ("k", "n"))),
    (Tensor("out", ("m", "n"), match=Close("k")),),
    np=lambda a, b: a @ b,
    mlx={
        "a @ b": "a @ b",
        "in float32": "(a.astype(mx.float32) @ b.astype(mx.float32)).astype(dtype)",
    },
    metal="""
const size_t row = size_t(i / n) * k;
float sum = 0.0f;
for (uint p = 0; p < k; ++p) {
  sum += float(a[row + p]) * float(b[size_t(p) * n + i % n]);
}
out[i] = T(sum);
""",
    flops="2 * m * n * k",
    cases=(
        cases(AXES, (1, 1, 1), (4, 8, 16), (5, 33, 20), (32, 48, 64), (1, 128, 96)),
        cases(
            AXES,
            *((0, 4, 5), (4, 0, 5), (3, 4, 0), (1, 1, 257), (7, 13, 31), (33, 17, 65)),
            *((1, 257, 67), (127, 3, 129)),
        ),
        (
            labelled(AXES, "256 by 256", 256, 256, 256),
            labelled(AXES, "512 by 512", 512, 512, 512),
            labelled(AXES, "2048 by 2048, as the neural engine is published with", *([2048] * 3)),
        ),
    ),
    formula="out = a b, b stored by its rows: the product as the Apple Neural Engine is given it. "
    "It is here for its cost, to compare what is dispatched there; sums are carried in float32.",
)
