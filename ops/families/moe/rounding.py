"""Ways to round when what the experts of a token gave is summed: the rounding is part of the op.

`moe_combine` leaves it to the kernel; a model that must decode the same tokens again does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ops.axis import axes
from ops.dtypes import numpy_dtype
from ops.families.forms.indexed import indexed
from ops.families.moe.experts import COMBINE, COMBINED, moe_combine
from ops.fills import Custom
from ops.matches import Close, Exact
from ops.workload import Tensor, Workload


def _in_steps(inputs: Mapping[str, NDArray[Any]], workload: Workload) -> tuple[NDArray[Any], ...]:
    """Each product and each sum rounded to `T`, slot by slot."""
    kind = numpy_dtype(workload.dtype)
    x, share = inputs["x"], inputs["share"]
    found = np.zeros((x.shape[0], x.shape[2]))
    for s in range(x.shape[1]):
        part = (x[:, s] * share[:, s, None]).astype(kind).astype(np.float64)
        found = (found + part).astype(kind).astype(np.float64)
    return (found,)


def _plain(rng: Any, shape: Any, dtype: str, sizes: Any, values: Any) -> Any:
    """What is dealt, without what makes products so small that GPUs take them for 0."""
    drawn = np.clip(np.asarray(values(rng, shape, dtype), np.float64), -256.0, 256.0)
    return np.where(np.abs(drawn) < 2.0**-20, 0.0, drawn)


moe_combine_no_fma = replace(
    indexed(
        "moe_combine_no_fma",
        "moe",
        axes(COMBINE),
        tuple(replace(tensor, fill=Custom(_plain)) for tensor in moe_combine.inputs),
        (Tensor("out", ("rows", "cols"), match=Exact()),),
        np=lambda x, share: (x * share[..., None]).sum(axis=1),
        mlx="""
sum = mx.zeros((rows, cols), dtype=dtype)
for s in range(slots):
    sum = sum + x[:, s] * share[:, s, None]
return sum
""",
        metal="""
const uint row = i / cols;
T sum = T(0.0f);
for (uint s = 0; s < slots; ++s) {
  #pragma METAL fp contract(off)
  const T part = T(float(x[(row * slots + s) * cols + i % cols]) * float(share[row * slots + s]));
  sum = T(float(sum) + float(part));
}
out[i] = sum;
""",
        flops="2 * rows * slots * cols",
        cases=COMBINED,
        formula="sum = 0, and for s in ascending order: sum = T(sum + T(share[r, s] x[r, s, c])); "
        "out[r, c] = sum. Every product and every sum is rounded to T, as arithmetic on arrays of "
        "T does: no multiply-add is fused, and the result is exact to the bit. Factors are 0 or "
        "of the sizes from 2^-20 to 256, so that no product is too small for a GPU.",
    ),
    oracle=_in_steps,
)
moe_combine_float32 = indexed(
    "moe_combine_float32",
    "moe",
    axes(COMBINE),
    (Tensor("x", ("rows", "slots", "cols")), Tensor("share", ("rows", "slots"), "float32")),
    (Tensor("out", ("rows", "cols"), "float32", match=Close("slots")),),
    np=lambda x, share: (x * share[..., None]).sum(axis=1),
    mlx="mx.sum(x.astype(mx.float32) * share[..., None], axis=1)",
    metal="""
const uint row = i / cols;
float sum = 0.0f;
for (uint s = 0; s < slots; ++s) {
  sum += float(x[(row * slots + s) * cols + i % cols]) * share[row * slots + s];
}
out[i] = sum;
""",
    flops="2 * rows * slots * cols",
    cases=COMBINED,
    formula="out[r, c] = sum over s of share[r, s] x[r, s, c], with shares in float32 and out in "
    "float32: nothing is rounded to T, so that a residual may be added first.",
)
