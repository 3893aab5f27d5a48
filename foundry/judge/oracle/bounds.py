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
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from foundry.judge.oracle.inputs import smallest_normal
from foundry.program import Arrays
from ops.spec import Workload

Wide = NDArray[np.float64]
Evaluate = Callable[[Arrays, Workload], tuple[NDArray[Any], ...]]

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
class Quantity:
    """One of the values of a formula that is computed in floats."""

    name: str
    index: int
    """Its position among the values."""
    dtype: str
    """What it is rounded to at the end."""
    length: int
    """Terms summed into one element of it."""
    baseline: NDArray[Any] | None = None
    """What an MLX baseline gives for it."""


def allowed(
    formula: Evaluate,
    workload: Workload,
    wide: Arrays,
    values: Sequence[NDArray[Any]],
    quantities: Sequence[Quantity],
    rng: Generator,
) -> dict[str, Wide]:
    """The bound of every quantity, by name.

    Args:
        formula: Gives the values from float64 inputs.
        workload: What is computed.
        wide: The inputs, in float64 where they are floats.
        values: What the formula gives on them.
        quantities: Which of the values need a bound.
        rng: Draws the movements of the inputs.
    """
    lengths = {q.length for q in quantities}
    moved = {n: _movements(formula, workload, wide, values, n, rng) for n in lengths}
    found: dict[str, Wide] = {}
    for q in quantities:
        value = values[q.index].astype(np.float64)
        bound = _model(q, value, moved[q.length][q.index])
        found[q.name] = _with_baseline(value, bound, q.baseline, workload.dtype)
    return found


def around(quantity: Quantity, value: Wide) -> Wide:
    """A looser bound around the baseline itself, where the oracle would take too long.

    The root mean square of the value stands for the size of the terms of its sums.
    """
    step = 2 * _unit(quantity.dtype) + _walk(quantity.length) * _EPSILON_32
    typical = float(np.sqrt(np.mean(np.square(value)))) if value.size else 0.0
    moved = np.full(value.shape, _BACKWARD * step * typical)
    return 2.0 * _model(quantity, value, moved)


def _model(quantity: Quantity, value: Wide, moved: Wide) -> Wide:
    units = _FORWARD_32 + _drift(quantity.length)
    forward = _FORWARD_T * _unit(quantity.dtype) + units * _EPSILON_32
    least = smallest_normal("float32") if quantity.dtype != "float16" else 2.0**-24
    nearest = 0.0 if quantity.dtype in EPSILON else 0.5
    bound: Wide = forward * np.abs(value) + moved + 2.0 * least + nearest
    return bound


def _unit(dtype: str) -> float:
    """Distance from 1 to the next float; what is rounded to an integer is computed in float32."""
    return EPSILON.get(dtype, _EPSILON_32)


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
    formula: Evaluate,
    workload: Workload,
    wide: Arrays,
    values: Sequence[NDArray[Any]],
    length: int,
    rng: Generator,
) -> list[Wide]:
    step = _BACKWARD_T * _unit(workload.dtype) + _walk(length) * _EPSILON_32
    largest = [np.zeros(v.shape) for v in values]
    for _ in range(_DRAWS if sum(v.size for v in values) < _MANY else 2):
        moved = {name: _moved(a, step, rng) for name, a in wide.items()}
        for seen, value, other in zip(
            largest, values, formula(moved, _moved_workload(workload, rng)), strict=True
        ):
            np.maximum(seen, _distance(other, value), out=seen)
    flushed = {name: _flush(a, workload.dtype) for name, a in wide.items()}
    bounds = [_BACKWARD * seen for seen in largest]
    if any(flushed[name] is not wide[name] for name in wide):
        for bound, value, other in zip(bounds, values, formula(flushed, workload), strict=True):
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
    return replace(workload, params=params)


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
    cap = max(_CAP, _CAP_UNITS * _unit(dtype)) * largest
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


def _distance(a: Wide, b: Wide) -> Wide:
    with np.errstate(invalid="ignore", over="ignore"):
        distance = np.abs(a.astype(np.float64) - b.astype(np.float64))
    return np.where(np.isfinite(distance), distance, 0.0)
