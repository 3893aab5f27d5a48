"""The error model: how far each element of a right result may be from the oracle.

A kernel of precision T that is as good as arithmetic allows gives the exact result for inputs
moved by rounding errors, rounded to T a few times. So the bound of element i is the sum of

1. forward: a few units of T and of float32, and the length of the reduction, times |oracle_i|;
2. backward: how much the oracle itself moves when every input moves by about one unit of T and
   by the rounding errors of a float32 reduction (the largest over a few random draws);
3. underflow: what flushing values below the smallest normal number changes;
4. the baseline's own error on elements of like size (largest per binade of |oracle|), doubled,
   and capped so that a wrong baseline excuses nothing.

Higham, Accuracy and Stability of Numerical Algorithms, chapters 3 and 4, for 1 and 2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from foundry.judge.oracle.inputs import smallest_normal
from foundry.program import Arrays
from ops import empty
from ops.matches import Close
from ops.spec import Op, Tensor, Workload, dtype_of, match_of, reduction_length, widen

Wide = NDArray[np.float64]
_Evaluate = Callable[[Arrays, Workload], tuple[NDArray[Any], ...]]

EPSILON: Mapping[str, float] = {"float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
"""Distance from 1 to the next number."""
_EPSILON_32 = EPSILON["float32"]

_FORWARD_T = 2.0
"""Units of T: the final rounding and up to three more on the way."""
_FORWARD_32 = 16.0
"""Units of float32: exp, rsqrt, division and sin as Metal states them, multiplied together."""
_BACKWARD_T = 1.0
_BACKWARD = 4.0
"""Times the largest movement seen in the draws."""
_PARAMETER_UNITS = 8.0
"""A parameter goes through powers and exponentials before it meets an element."""
_DRAWS = 5
_MANY = 1_000_000
"""Outputs with more elements get fewer draws."""
_BASELINE = 2.0
_CAP_UNITS = 16.0
_CAP = 2.0**-9
"""A baseline excuses at most this share of the largest element (or 16 units of T)."""


@dataclass(frozen=True)
class Expected:
    """What one output should be."""

    value: NDArray[Any]
    """The oracle: float64, or exact integers."""
    bound: Wide | None
    """Allowed distance of each element; None: equal to `value` in the output's dtype."""


def expected(
    op: Op,
    workload: Workload,
    inputs: Arrays,
    baseline: Arrays,
    rng: Generator,
) -> tuple[Expected, ...]:
    """Oracle and bounds of every output.

    Args:
        op: The op.
        workload: One of its workloads.
        inputs: As `make_inputs` gives them.
        baseline: Outputs of an MLX baseline on the same inputs; empty where there is none.
        rng: Draws the movements of the inputs.
    """
    wide = widen(op, inputs)
    values = _call(op, wide, workload)
    lengths = {reduction_length(t, workload) for t in op.outputs if _is_close(t, workload)}
    moved = {length: _movements(op, workload, wide, values, length, rng) for length in lengths}
    found: list[Expected] = []
    for index, (tensor, value) in enumerate(zip(op.outputs, values, strict=True)):
        if not _is_close(tensor, workload):
            found.append(Expected(value, None))
            continue
        length = reduction_length(tensor, workload)
        bound = _model(dtype_of(tensor, workload), length, value, moved[length][index])
        other = baseline.get(tensor.name)
        found.append(Expected(value, _with_baseline(value, bound, other, workload.dtype)))
    return tuple(found)


def expected_of_baseline(op: Op, workload: Workload, baseline: Arrays) -> tuple[Expected, ...]:
    """What a workload should give that is too large for the oracle: the baseline, more loosely.

    A bound then takes the root mean square of the output for the size of the terms of its sums.
    """
    found: list[Expected] = []
    for tensor in op.outputs:
        value = baseline[tensor.name]
        if not _is_close(tensor, workload):
            found.append(Expected(value, None))
            continue
        wide = value.astype(np.float64)
        dtype = dtype_of(tensor, workload)
        length = reduction_length(tensor, workload)
        step = 2 * EPSILON[dtype] + _walk(length) * _EPSILON_32
        typical = float(np.sqrt(np.mean(np.square(wide)))) if wide.size else 0.0
        moved = np.full(wide.shape, _BACKWARD * step * typical)
        found.append(Expected(wide, 2.0 * _model(dtype, length, wide, moved)))
    return tuple(found)


def _model(dtype: str, length: int, value: Wide, moved: Wide) -> Wide:
    epsilon = EPSILON[dtype]
    units = _FORWARD_32 + _drift(length)
    forward = _FORWARD_T * epsilon + units * _EPSILON_32
    least = smallest_normal("float32") if dtype != "float16" else 2.0**-24
    bound: Wide = forward * np.abs(value) + moved + 2.0 * least
    return bound


def _drift(length: int) -> float:
    """Error of a float32 sum of terms of one sign, in units.

    Equal terms added one by one lose up to length / 8 units (measured up to 128,256 terms), for
    every addition rounds the same way; no one adds more than some thousand terms that way.
    """
    return length / 4 if length <= 8192 else 22.6 * math.sqrt(length)


def _walk(length: int) -> float:
    """Error of a float32 sum of any terms, in units: a random walk, three deviations."""
    return 3.0 * math.sqrt(length)


def _movements(
    op: Op, workload: Workload, wide: Arrays, values: Sequence[Wide], length: int, rng: Generator
) -> list[Wide]:
    epsilon = EPSILON.get(workload.dtype, _EPSILON_32)
    step = _BACKWARD_T * epsilon + _walk(length) * _EPSILON_32
    largest = [np.zeros(v.shape) for v in values]
    for _ in range(_DRAWS if sum(v.size for v in values) < _MANY else 2):
        moved = {name: _moved(a, step, rng) for name, a in wide.items()}
        for seen, value, other in zip(
            largest, values, _call(op, moved, _moved_workload(workload, rng)), strict=True
        ):
            np.maximum(seen, _distance(other, value), out=seen)
    flushed = {name: _flush(a, workload.dtype) for name, a in wide.items()}
    bounds = [_BACKWARD * seen for seen in largest]
    if any(flushed[name] is not wide[name] for name in wide):
        for bound, value, other in zip(bounds, values, _call(op, flushed, workload), strict=True):
            bound += 2.0 * _distance(other, value)
    return bounds


def _moved(array: NDArray[Any], step: float, rng: Generator) -> NDArray[Any]:
    if array.dtype != np.float64:
        return array
    return array * (1.0 + step * rng.standard_normal(array.shape))


def _moved_workload(workload: Workload, rng: Generator) -> Workload:
    params = {
        name: value * (1.0 + _PARAMETER_UNITS * _EPSILON_32 * rng.standard_normal())
        if isinstance(value, float)
        else value
        for name, value in workload.params.items()
    }
    return Workload(workload.op, workload.axes, workload.dtype, params)


def _flush(array: NDArray[Any], dtype: str) -> NDArray[Any]:
    if array.dtype != np.float64:
        return array
    small = (np.abs(array) < smallest_normal(dtype)) & (array != 0)
    return np.where(small, 0.0, array) if small.any() else array


def _with_baseline(value: Wide, bound: Wide, other: NDArray[Any] | None, dtype: str) -> Wide:
    """The bound, raised to twice the error of the baseline on like elements."""
    if other is None or other.shape != value.shape or not value.size:
        return bound
    finite = np.isfinite(value)
    largest = float(np.max(np.abs(value), where=finite, initial=0.0))
    cap = max(_CAP, _CAP_UNITS * EPSILON.get(dtype, _EPSILON_32)) * largest
    allowed = _error_by_binade(value, other.astype(np.float64), finite)
    raised: Wide = np.maximum(bound, np.minimum(_BASELINE * allowed, cap))
    return raised


def _error_by_binade(value: Wide, other: Wide, finite: NDArray[np.bool_]) -> Wide:
    """Largest error of `other` over all elements whose |value| has the same binary exponent."""
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.where(finite & np.isfinite(other), np.abs(other - value), 0.0)
    exponents = np.frexp(np.where(finite, value, 0.0))[1]
    exponents -= exponents.min()
    worst = np.zeros(int(exponents.max()) + 1)
    np.maximum.at(worst, exponents.ravel(), error.ravel())
    by_binade: Wide = worst[exponents]
    return by_binade


def _call(op: Op, wide: Arrays, workload: Workload) -> tuple[NDArray[Any], ...]:
    with np.errstate(all="ignore"):
        known = empty.answer(op, workload, wide)
        return tuple(map(np.asarray, op.oracle(wide, workload) if known is None else known))


def _distance(a: Wide, b: Wide) -> Wide:
    with np.errstate(invalid="ignore", over="ignore"):
        distance = np.abs(a.astype(np.float64) - b.astype(np.float64))
    return np.where(np.isfinite(distance), distance, 0.0)


def _is_close(tensor: Tensor, workload: Workload) -> bool:
    return isinstance(match_of(tensor, workload), Close)
