"""The error model: how far each element of a right result may be from the oracle.

A kernel that is as good as arithmetic allows gives the exact result for inputs moved by the
rounding errors of float32, rounded to T a few times. So the bound of element i is the sum of

1. forward: a few units of T and of float32, and the length of the reduction, times |oracle_i|;
2. backward: how much the oracle itself moves when every input moves by about one unit of float32,
   and the terms of its sums by the rounding errors of float32 sums (the largest over a few random
   draws): inputs are exact in T, and kernels compute in float32;
3. underflow: what flushing values below the smallest normal number changes.

Where these are less, it is raised to

4. the baseline's own error on elements of like size (largest per binade of |oracle|, and in the
   row), doubled; where that is a large share of the row, the baseline is wrong and excuses nothing;
5. how far rounding carries the formula when it is evaluated step by step in float32, and to T
   where the op's steps store T: what cancels in the formula cancels in every kernel. Capped, too.

Higham, Accuracy and Stability of Numerical Algorithms, chapters 3 and 4, for 1 and 2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from foundry.judge.oracle.draws.distributions import smallest_normal
from foundry.judge.oracle.noise import Noise, Noisy, drift, walk
from foundry.program import Arrays
from ops.spec import Stored
from ops.workload import Workload

Wide = NDArray[np.float64]


class Formula(Protocol):
    """What is computed, in float64."""

    def __call__(self, inputs: Arrays, workload: Workload) -> tuple[NDArray[Any], ...]:
        """The values, as exact as float64 gives them."""

    def steps(self, inputs: Arrays, workload: Workload, stored: Stored) -> tuple[NDArray[Any], ...]:
        """The values by the steps that kernels take."""


EPSILON: Mapping[str, float] = {"float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
"""Distance from 1 to the next number."""
_EPSILON_32 = EPSILON["float32"]

_FORWARD_T = 2.0
"""Units of T: the final rounding and up to three more on the way."""
_FORWARD_32 = 16.0
"""Units of float32: exp, rsqrt, division and sin as Metal states them, multiplied together."""
_BACKWARD = 4.0
"""Times the largest movement seen in the draws."""
_PARAMETER_UNITS = 8.0
"""A parameter goes through powers and exponentials before it meets an element."""
_DRAWS = 5
_ROWS = 8
"""So many rows at least have a median that says something."""
_CHAOS = 1 / 8
"""Share of a value; where most move by more, it is chaos."""
_MANY = 1_000_000
"""Outputs with more elements get fewer draws."""
_BASELINE = 2.0
_CAP_UNITS = 16.0
_CAP = 2.0**-9
"""A baseline that is off by more than this share of the largest element of its row (or 16 units of
T) is wrong there. A formula excuses as much of the largest element of all."""
_STEPS = 4.0
"""Times the largest error seen in the draws of rounding on every step."""
_STEP_DRAWS = 4
_MOST_MULTIPLIED = 2.0**32
_CAP_STEPS = 16.0
"""A formula that cancels may excuse this many units of float32 of the largest input, too."""


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
    formula: Formula,
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
    stepped = _roundings(formula, workload, wide, values, rng) if quantities else []
    sizes = [_largest(a) for a in wide.values()]
    size = max((_largest(a.astype(np.float64)) for a in wide.values()), default=0.0)
    # A position that is a parameter costs an angle as much as one that is an input.
    size = max([size, *(abs(float(v)) for v in workload.params.values() if type(v) is int)])
    found: dict[str, Wide] = {}
    for q in quantities:
        value = values[q.index].astype(np.float64)
        bound = _model(q, value, moved[q.length][q.index]) + _flushed_on_the_way(sizes)
        steps = np.minimum(_STEPS * stepped[q.index], _cap(value, size, workload.dtype))
        raised = np.maximum(bound, steps)
        found[q.name] = _with_baseline(value, raised, q.baseline, workload.dtype)
    return found


@dataclass(frozen=True)
class Usual:
    """How far two right results usually are from each other, at most."""

    of_element: float
    """Share of the element."""
    of_row: float
    """Share of the root mean square of its row."""
    least: float


def usual(dtype: str, length: int) -> Usual:
    """The parts of the bound that need no oracle, for a sum of `length` terms rounded to a dtype.

    Elements beyond it need not be wrong.
    """
    units = _FORWARD_32 + drift(length)
    of_element = _FORWARD_T * _unit(dtype) + units * _EPSILON_32
    step = _unit(dtype) + walk(length) * _EPSILON_32
    return Usual(2.0 * of_element, _BACKWARD * step, 4.0 * _least(dtype))


def around(quantity: Quantity, value: Wide) -> Wide:
    """A looser bound around the baseline itself, where the oracle would take too long.

    The root mean square of the value stands for the size of the terms of its sums.
    """
    step = 2 * _unit(quantity.dtype) + walk(quantity.length) * _EPSILON_32
    typical = float(np.sqrt(np.mean(np.square(value)))) if value.size else 0.0
    moved = np.full(value.shape, _BACKWARD * step * typical)
    return 2.0 * _model(quantity, value, moved)


def _model(quantity: Quantity, value: Wide, moved: Wide) -> Wide:
    units = _FORWARD_32 + drift(quantity.length)
    forward = _FORWARD_T * _unit(quantity.dtype) + units * _EPSILON_32
    nearest = 0.0 if quantity.dtype in EPSILON else 0.5
    bound: Wide = forward * np.abs(value) + moved + 2.0 * _least(quantity.dtype) + nearest
    return bound


def _least(dtype: str) -> float:
    """What is lost below the smallest normal number."""
    return smallest_normal("float32") if dtype != "float16" else 2.0**-24


def _flushed_on_the_way(largest: Sequence[float]) -> float:
    """What a step below the smallest normal float32 costs that is taken for zero, then multiplied.

    `gate * sigmoid(gate) * up` far below zero is such a case: the sigmoid is flushed, the product
    with both inputs is not. Where both lie in one input, it counts twice.

    Args:
        largest: The largest finite value of each input.
    """
    factors = (min(max(1.0, size) ** 2, _MOST_MULTIPLIED) for size in largest)
    return 2.0 * smallest_normal("float32") * math.prod(factors)


def _unit(dtype: str) -> float:
    """Distance from 1 to the next float; what is rounded to an integer is computed in float32."""
    return EPSILON.get(dtype, _EPSILON_32)


def _movements(
    formula: Formula,
    workload: Workload,
    wide: Arrays,
    values: Sequence[NDArray[Any]],
    length: int,
    rng: Generator,
) -> list[Wide]:
    """How far inputs that move by a unit, and sums in float32, carry the values."""
    noise = Noise(rng, on_steps=False, on_sums=True, length=length)
    largest, step = [np.zeros(v.shape) for v in values], _EPSILON_32
    for _ in range(_DRAWS if sum(v.size for v in values) < _MANY else 2):
        moved = {name: Noisy.of(_moved(a, step, noise), noise) for name, a in wide.items()}
        found = formula(moved, _moved_workload(workload, rng))
        _note(largest, values, found)
        if any(v.dtype == np.float64 and not isinstance(v, Noisy) for v in found):
            # The formula left NumPy: its inputs must then stand for the terms of its sums.
            step = (1.0 + walk(length)) * _EPSILON_32
    with np.errstate(over="ignore"):  # near the end of float64 any bound will do
        seen = [_by_median(v, m) for v, m in zip(values, largest, strict=True)]
        bounds = [_BACKWARD * _by_chaos(v, m) for v, m in zip(values, seen, strict=True)]
    flushed = {name: _flush(a, workload.dtype) for name, a in wide.items()}
    if any(flushed[name] is not wide[name] for name in wide):
        for bound, value, other in zip(bounds, values, formula(flushed, workload), strict=True):
            bound += 2.0 * _distance(other, value)
    return bounds


def _by_median(value: NDArray[Any], seen: Wide) -> Wide:
    """Movements, none of them a smaller share of its element than the median row's of its own.

    The largest of a few draws is small by chance in one row of a hundred, and there a right kernel
    would be refused whose errors, as those of equal terms added one by one, all go one way.
    """
    if value.ndim < 2 or value.dtype != np.float64 or not value.size:
        return seen
    sizes, moved = _row_largest(_finite(value)), _row_largest(seen)
    if np.count_nonzero(sizes) < _ROWS:
        return seen
    share = float(np.median((moved / np.where(sizes, sizes, 1.0))[sizes > 0]))
    raised: Wide = np.maximum(seen, share * np.abs(_finite(value)))
    return raised


def _by_chaos(value: NDArray[Any], seen: Wide) -> Wide:
    """Movements, in chaotic rows all as large as the largest of these rows.

    Where rounding carries most of a row, its largest values too, by a good part of themselves, as
    after the sine of a million turns, a few draws say nothing of a single element: it may have
    stood still by chance.
    """
    if not value.ndim or value.dtype != np.float64 or not value.size:
        return seen
    sizes = np.abs(_finite(value))
    shares = np.divide(seen, sizes, out=np.zeros(seen.shape), where=sizes > 0)
    most = np.median(shares, axis=-1, keepdims=True) > _CHAOS
    chaotic = most & (_row_largest(seen) > _CHAOS * _row_largest(sizes))
    farthest = np.max(seen, where=chaotic, initial=0.0)
    raised: Wide = np.where(chaotic, np.maximum(seen, farthest), seen)
    return raised


def _note(
    largest: Sequence[Wide], values: Sequence[NDArray[Any]], others: Sequence[NDArray[Any]]
) -> None:
    """Keep the largest distances seen."""
    for seen, value, other in zip(largest, values, others, strict=True):
        np.maximum(seen, _distance(np.asarray(other), value), out=seen)


def _moved(array: NDArray[Any], step: float, noise: Noise) -> NDArray[Any]:
    return noise.moved_normally(array, step) if array.dtype == np.float64 else array


def _moved_workload(workload: Workload, rng: Generator) -> Workload:
    """A workload whose parameters moved by their units at least.

    A parameter is one number for all elements: where each of a few draws is small by chance,
    nothing else makes up for it.
    """

    def moved(value: float) -> float:
        drawn = rng.standard_normal()
        units = _PARAMETER_UNITS * math.copysign(max(abs(drawn), 1.0), drawn)
        return value * (1.0 + units * _EPSILON_32)

    params = {n: moved(v) if isinstance(v, float) else v for n, v in workload.params.items()}
    return replace(workload, params=params)


def _flush(array: NDArray[Any], dtype: str) -> NDArray[Any]:
    if array.dtype != np.float64:
        return array
    small = (np.abs(array) < smallest_normal(dtype)) & (array != 0)
    return np.where(small, 0.0, array) if small.any() else array


def _roundings(
    formula: Formula,
    workload: Workload,
    wide: Arrays,
    values: Sequence[NDArray[Any]],
    rng: Generator,
) -> list[Wide]:
    """How far rounding on every step carries the values: the largest of a few draws."""
    noise, size = Noise(rng, on_steps=True, on_sums=False), EPSILON.get(workload.dtype, 0.0)
    # A place times a frequency is rounded, though the place is a whole number.
    inputs = {name: Noisy.of_any(a, noise) for name, a in wide.items()}

    def stored(value: NDArray[Any]) -> NDArray[Any]:
        if size <= _EPSILON_32:
            return value
        return Noisy.of(noise.moved(np.asarray(value), size), noise)

    largest = [np.zeros(v.shape) for v in values]
    for _ in range(_STEP_DRAWS):
        _note(largest, values, formula.steps(inputs, workload, stored))
    return largest


def _with_baseline(value: Wide, bound: Wide, other: NDArray[Any] | None, dtype: str) -> Wide:
    """The bound, raised to twice the error of the baseline on like elements of the row."""
    if other is None or other.shape != value.shape or not value.size:
        return bound
    error = _distance(other, value)
    allowed = _BASELINE * np.minimum(_by_binade(value, error), _row_largest(error))
    cap = max(_CAP, _CAP_UNITS * _unit(dtype)) * _row_largest(_finite(value))
    # A row in which the baseline itself is wrong shows nothing of what rounding costs.
    raised: Wide = np.maximum(bound, np.where(_row_largest(error) <= cap, allowed, 0.0))
    return raised


def _by_binade(value: Wide, error: Wide) -> Wide:
    """Largest error over all elements whose |value| has the same binary exponent."""
    exponents = np.frexp(_finite(value))[1]
    exponents -= exponents.min()
    worst = np.zeros(int(exponents.max()) + 1)
    np.maximum.at(worst, exponents.ravel(), error.ravel())
    by_binade: Wide = worst[exponents]
    return by_binade


def _row_largest(value: Wide) -> Wide:
    """Largest magnitude in the row of an element."""
    largest: Wide = np.abs(value).max(axis=-1, keepdims=True) if value.ndim else np.abs(value)
    return largest


def _cap(value: Wide, largest_input: float, dtype: str) -> float:
    """The most that a formula which cancels excuses."""
    share = max(_CAP, _CAP_UNITS * _unit(dtype)) * _largest(value)
    return max(share, _CAP_STEPS * _EPSILON_32 * largest_input)


def _largest(value: NDArray[Any]) -> float:
    if value.dtype != np.float64:
        return 0.0
    return float(np.max(np.abs(value), where=np.isfinite(value), initial=0.0))


def _finite(value: Wide) -> Wide:
    finite: Wide = np.where(np.isfinite(value), value, 0.0)
    return finite


def _distance(a: Wide, b: Wide) -> Wide:
    with np.errstate(invalid="ignore", over="ignore"):
        distance = np.abs(a.astype(np.float64) - b.astype(np.float64))
    return np.where(np.isfinite(distance), distance, 0.0)
