"""A workload that shows every value to ops that treat each element alone.

Bands of values and the ends of a dtype's range hide from random inputs. What is asked for at the
ends is what the baseline manages there: a formula may overflow on the way.

1. `every_value` gives the workload, and `EVERY` its inputs.
2. `tamed` takes away the elements on which the baseline itself is wrong.
3. `eased` lets a kernel overflow where the baseline does, or inputs multiplied in another order.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundry.judge.matching import Expected, Within
from foundry.judge.oracle.draws import nonfinite
from foundry.judge.oracle.draws.distributions import EVERY, largest_finite
from foundry.judge.oracle.sampling import independent_axes
from foundry.judge.oracle.workloads.far import grown
from foundry.program import Arrays
from ops.dtypes import FLOAT_DTYPES
from ops.spec import Op, present
from ops.workload import Workload, dtype_of

_MANY = 1 << 16
"""Values of a 16-bit dtype."""
_SLACK = 16.0
"""What a formula multiplies its inputs by, at most."""


def every_value(op: Op, dtype: str, seed: int) -> tuple[tuple[Workload, tuple[str, ...]], ...]:
    """The workload with its distributions; empty where elements depend on one another."""
    if not is_elementwise(op):
        return ()
    rng = random.Random(f"{seed} every {op.name} {dtype}")
    found = grown(op, dtype, _MANY, rng)
    return ((found, (EVERY, *nonfinite.ASKED[op.nonfinite][:1])),) if found else ()


def is_elementwise(op: Op) -> bool:
    """Whether every element of the result depends on the elements in its place alone."""
    shapes = {tensor.shape for tensor in (*op.inputs, *op.outputs)}
    return set(independent_axes(op)) == set(op.axis_names) and len(shapes) == 1


def tamed(op: Op, inputs: Arrays, expected: Sequence[Expected], baseline: Arrays) -> Arrays | None:
    """Inputs with 1 where the baseline is not what is expected; None where it always is."""
    wrong = [_wrong(want, baseline[t.name]) for t, want in zip(op.outputs, expected, strict=True)]
    bad = np.logical_or.reduce(wrong)
    if not bad.any():
        return None
    tensors = {tensor.name for tensor in op.inputs}
    return {
        n: np.where(bad, 1, a).astype(a.dtype) if n in tensors else a for n, a in inputs.items()
    }


def eased(
    op: Op, workload: Workload, inputs: Arrays, expected: Sequence[Expected], baseline: Arrays
) -> tuple[Expected, ...]:
    """What is asked where a formula may leave the range of float32 on the way.

    The baseline does where exp of a large number meets a zero, and inputs that are multiplied in
    another order do: `2 * a * b * c` overflows elsewhere than `a * c * b * 2`. Neither is wrong.

    Args:
        op: One that treats each element alone.
        workload: What is computed.
        inputs: As kernels get them.
        expected: What the oracle gives, by output.
        baseline: What a baseline gives that computes in float32.
    """
    far = _multiplied(op, workload, inputs)
    pairs = zip(op.outputs, expected, strict=True)
    return tuple(_loosened(want, far | lost(want, baseline[t.name])) for t, want in pairs)


def lost(want: Expected, baseline: NDArray[Any]) -> NDArray[np.bool_]:
    """Where the baseline gives no number, and should."""
    if not isinstance(want, Within):
        return np.zeros(baseline.shape, bool)
    finite = [np.isfinite(a.astype(np.float64)) for a in (want.value, baseline)]
    return np.asarray(finite[0] & ~finite[1])


def _multiplied(op: Op, workload: Workload, inputs: Arrays) -> NDArray[np.bool_]:
    """Where several inputs, multiplied in some order, leave the range; with one there is none."""
    floats = [t.name for t in present(op, workload) if dtype_of(t, workload) in FLOAT_DTYPES]
    if len(floats) < 2:
        return np.zeros((), bool)
    with np.errstate(all="ignore"):
        sizes = [np.maximum(1.0, np.abs(inputs[n].astype(np.float64))) for n in floats]
        together = _SLACK * functools.reduce(np.multiply, sizes)
    return np.asarray(~(together <= largest_finite("float32")))


def _loosened(want: Expected, where: NDArray[np.bool_]) -> Expected:
    if not isinstance(want, Within) or not where.any():
        return want
    return replace(want, overflowing=np.broadcast_to(where, want.value.shape))


def _wrong(want: Expected, got: NDArray[Any]) -> NDArray[np.bool_]:
    if not isinstance(want, Within):
        return np.zeros(got.shape, bool)
    _, ratio = want.errors(got)
    wrong: NDArray[np.bool_] = ratio > 1.0
    return wrong
