"""Is a dtype precise enough for an op at a magnitude: what the error model and MLX itself say.

Inputs are drawn as large as is asked, once around 0 and once of one sign, where sums do not cancel.
The op's formula is evaluated in float64, and two things are held against it: the range of the
dtype, in the results and in what MLX's own expression gives, and the error that a right kernel may
make, as the judge allows it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from foundry.errors import UsageError
from foundry.harness.measuring.baseline import BaselineCall
from foundry.judge.matching import Within
from foundry.judge.oracle.draws.distributions import largest_finite
from foundry.judge.oracle.expecting import expected
from foundry.judge.oracle.inputs import make_inputs
from foundry.program import Arrays
from ops.dtypes import FLOAT_DTYPES, numpy_dtype
from ops.spec import Op, plain_flops, present
from ops.workload import ELEMENT, Case, Workload, shape_of

TOLERANCE = 0.02
"""Largest error that counts as safe: a share of the largest result of the row."""
_MOST_ELEMENTS = 1 << 16
_MOST_ASKED = {"elements": 1 << 22, "FLOPs": 1 << 34}
"""Of sizes that a user asks for: each magnitude is computed in float64, with error bounds."""
_SEED = 5
_LEAST_POWER = -11
_TRIED_ONE_BY_ONE = 16
"""Powers of two from 1 up; errors may grow and shrink again among them, as a softmax sharpens."""
AS_LISTED: Mapping[str, int] = MappingProxyType({})
"""No sizes of its own: those of the largest small workload of an op."""


@dataclass(frozen=True)
class Precision:
    """One op in one dtype at one magnitude."""

    op: str
    dtype: str
    magnitude: float
    """Largest input, by absolute value."""
    sizes: str
    """At which it was tried; sums of longer rows leave the range earlier."""
    overflow: float
    """Share of the results that the dtype cannot hold."""
    lost_by_mlx: float
    """Share of the results that the dtype holds, and that MLX's own expression gives as infinite
    or NaN."""
    error: float
    """Largest error that a right kernel may make, as a share of the largest result of its row."""
    tolerance: float = TOLERANCE

    @property
    def is_safe(self) -> bool:
        """Whether nothing overflows, and errors stay within the tolerance."""
        return not self.why

    @property
    def why(self) -> str:
        """Why it is not safe; empty when it is."""
        if self.magnitude > largest_finite(self.dtype):
            return f"inputs of {self.magnitude:g} are beyond the range of {self.dtype}"
        if self.overflow:
            return f"{self.overflow:.1%} of the results are beyond the range of {self.dtype}"
        if self.lost_by_mlx:
            return f"MLX's own expression overflows on the way in {self.lost_by_mlx:.1%} of results"
        if not self.error <= self.tolerance:
            return f"errors reach {self.error:.2g} of the largest result of a row"
        return ""


def precision(
    op: Op,
    dtype: str,
    magnitude: float,
    tolerance: float = TOLERANCE,
    axes: Mapping[str, int] = AS_LISTED,
) -> Precision:
    """What an op in a dtype does with inputs of a magnitude.

    Args:
        op: The op.
        dtype: One of its dtypes.
        magnitude: Largest input, by absolute value, above 0.
        tolerance: Largest error that counts as safe.
        axes: Sizes to try it at; axes without one are those of a small workload of the op.

    Raises:
        UsageError: An axis that the op lacks, a size that it does not take, or more work than is
            tried.
    """
    workload = _workload(op, dtype, axes)
    drawn = _scaled(op, workload, magnitude)
    found = [_worst(op, workload, inputs) for inputs in (drawn, _one_signed(op, workload, drawn))]
    overflow, lost, error = map(max, zip(*found, strict=True))
    sizes = ", ".join(f"{name} {size}" for name, size in workload.axes.items())
    return Precision(op.name, dtype, magnitude, sizes, overflow, lost, error, tolerance)


def _worst(op: Op, workload: Workload, inputs: Arrays) -> tuple[float, float, float]:
    """Overflow, what MLX lost, and error of the worst output."""
    call = BaselineCall(op, workload, next(iter(op.baselines)), inputs)
    call()
    given = call.outputs()
    found = expected(op, workload, inputs, given, np.random.default_rng(_SEED))
    parts = [
        _part(want, np.asarray(given[tensor.name], np.float64), workload.dtype)
        for tensor, want in zip(op.outputs, found, strict=True)
        if isinstance(want, Within)
    ]
    overflow, lost, error = map(max, zip(*parts, strict=True)) if parts else (0.0, 0.0, 0.0)
    return overflow, lost, error


def safe_up_to(
    op: Op, dtype: str, tolerance: float = TOLERANCE, axes: Mapping[str, int] = AS_LISTED
) -> float:
    """Largest power of two that is safe as a magnitude, as are all from 1 up to it.

    0 where none from 1/1024 on is safe. Beyond `_TRIED_ONE_BY_ONE` it is searched by halving: what
    overflows at a magnitude does so beyond it.
    """

    def is_safe(power: int) -> bool:
        return precision(op, dtype, 2.0**power, tolerance, axes).is_safe

    low, high = 0, math.floor(math.log2(largest_finite(dtype)))
    if not is_safe(low):
        return next((2.0**power for power in range(-1, _LEAST_POWER, -1) if is_safe(power)), 0.0)
    while low < min(high, _TRIED_ONE_BY_ONE):
        if not is_safe(low + 1):
            return 2.0**low
        low += 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if is_safe(middle) else (low, middle - 1)
    return 2.0**low


def _workload(op: Op, dtype: str, axes: Mapping[str, int]) -> Workload:
    """The largest of the small workloads, with the sizes that are asked for."""

    def elements(workload: Workload) -> int:
        return sum(math.prod(shape_of(t, workload)) for t in (*present(op, workload), *op.outputs))

    small = [w for w in op.workloads("visible", dtype) if elements(w) <= _MOST_ELEMENTS]
    found = max(small or op.workloads("visible", dtype)[:1], key=elements)
    if not axes:
        return found
    case = Case({**found.axes, **axes}, found.params, types=found.types, absent=found.absent)
    asked = op.workload(case, dtype)
    if not any(math.prod(shape_of(tensor, asked)) for tensor in op.outputs):
        raise UsageError(f"{op.name} has no results at {_sizes(asked)}; give sizes from 1 up")
    for what, count in (("elements", elements(asked)), ("FLOPs", plain_flops(op, asked))):
        if count > _MOST_ASKED[what]:
            raise UsageError(
                f"{op.name} at {_sizes(asked)} has {count} {what}; at most {_MOST_ASKED[what]} "
                "are tried, so give smaller sizes: what matters is the length of the sums"
            )
    return asked


def _sizes(workload: Workload) -> str:
    return ", ".join(f"{name}={size}" for name, size in workload.axes.items())


def _scaled(op: Op, workload: Workload, magnitude: float) -> Arrays:
    """Inputs of the element type as large as is asked; all others as the op has them."""
    inputs = dict(make_inputs(op, workload, "normal", _SEED))
    for tensor in present(op, workload):
        array = inputs[tensor.name]
        if tensor.dtype != ELEMENT or tensor.fill is not None or workload.dtype not in FLOAT_DTYPES:
            continue
        wide = array.astype(np.float64)
        largest = np.abs(wide).max(initial=0.0) or 1.0
        with np.errstate(over="ignore"):  # beyond the range of the dtype is what is asked about
            scaled = (wide * (magnitude / largest)).astype(numpy_dtype(workload.dtype))
        inputs[tensor.name] = scaled
    return inputs


def _one_signed(op: Op, workload: Workload, inputs: Arrays) -> Arrays:
    """The same inputs without minus signs, where they are of the element type and freely drawn."""
    free = {t.name for t in present(op, workload) if t.dtype == ELEMENT and t.fill is None}
    return {name: np.abs(a) if name in free else a for name, a in inputs.items()}


def _part(want: Within, given: np.ndarray, dtype: str) -> tuple[float, float, float]:
    """Overflow, what MLX lost, and error of one output."""
    value, bound = np.asarray(want.value, np.float64), np.asarray(want.bound, np.float64)
    if not value.size:
        return 0.0, 0.0, 0.0
    held = np.abs(value) <= largest_finite(dtype)
    lost = held & np.isfinite(value) & ~np.isfinite(given)
    rows = value.reshape(-1, value.shape[-1] if value.ndim else 1)
    row = np.abs(np.where(held.reshape(rows.shape), rows, 0.0)).max(axis=-1, keepdims=True)
    bounds = np.where(held.reshape(rows.shape), bound.reshape(rows.shape), 0.0)
    error = np.divide(bounds, row, out=np.zeros_like(rows), where=row > 0)
    return float(1.0 - held.mean()), float(lost.mean()), float(error.max())
