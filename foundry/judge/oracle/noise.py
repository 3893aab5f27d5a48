"""Stochastic arithmetic: NumPy code in float64 with the rounding errors of float32 put in.

A formula written for NumPy is called on `Noisy` arrays. What an elementary function gives is moved
by a random relative error, as large as Metal allows for that function, and so are the terms of a
sum, as far as adding them one by one in float32 would. A few such calls show how far rounding alone
carries a result: where `1 + tanh(x)` cancels, the error of tanh is all there is, and where a mean
is large, its error is that of the sum. (Vignes, A stochastic arithmetic for reliable scientific
computation, 1993.)
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

UNIT = 2.0**-23
"""The relative error of one float32 operation: twice that of rounding to nearest."""
_LAST_WHOLE = 2.0**24
"""Up to it float32 has every whole number."""
_FUNCTION_UNITS = 4.0
"""Of exp, log, sin, tanh and their like: what section 8 of the Metal specification allows most."""
_FLOATS = (np.dtype(np.float64), np.dtype(object))
_POOL = 16_381
"""Random numbers drawn once and used again from other places; prime, so that rows do not align."""
_LAID_OUT = 1 << 18
"""Values up to which the pool lies ready in memory, again and again."""
_TO_DEVIATION = math.sqrt(12.0 / 7.0)
"""Makes the deviation of the pool 1."""

_ROUNDED = frozenset((np.add, np.subtract, np.multiply, np.matmul, np.square))
_EXACT = frozenset(
    (
        *(np.positive, np.negative, np.absolute, np.fabs, np.maximum, np.minimum, np.fmax, np.fmin),
        *(np.sign, np.floor, np.ceil, np.rint, np.trunc, np.copysign, np.ldexp, np.conjugate),
    )
)
_SUMS = frozenset((np.cumsum, np.dot, np.inner, np.vdot, np.tensordot, np.einsum, np.convolve))


def drift(length: int) -> float:
    """Error of a float32 sum whose additions all round the same way, in units of its largest value.

    Equal terms added one by one lose up to length / 8 units (measured up to 128,256 terms), and so
    do terms whose last digits are equal; no one adds more than some thousand terms that way.
    """
    return length / 4 if length <= 8192 else 22.6 * math.sqrt(length)


def walk(length: int) -> float:
    """Error of a float32 sum of any terms, in units: a random walk, three deviations."""
    return 3.0 * math.sqrt(length)


@dataclass
class Noise:
    """Where rounding errors are put, and the chance that says where their pool begins."""

    rng: Generator
    on_steps: bool
    """Whether every elementary function is moved."""
    on_sums: bool
    """Whether the terms of sums are moved as far as their number asks for."""
    length: int = 1
    """Number of terms where it cannot be seen, as in `einsum`."""

    def moved(self, value: NDArray[Any], size: float) -> NDArray[Any]:
        """The values, each moved by a relative error up to `size`."""
        return _moved_by(_errors(), value, size, self.rng)

    def moved_normally(self, value: NDArray[Any], size: float) -> NDArray[Any]:
        """The values, each moved by a relative error whose standard deviation is `size`."""
        return _moved_by(_normal(), value, size, self.rng)

    def table(self, value: NDArray[Any]) -> NDArray[Any]:
        """What a formula makes of places and sizes alone, rounded as a kernel rounds it."""
        return self.moved_but_whole(value, _FUNCTION_UNITS) if self.on_steps else value

    def moved_but_whole(self, value: NDArray[Any], units: float) -> NDArray[Any]:
        """The values moved, but for whole numbers: those come of whole numbers, and are exact.

        The first pair of a rotation turns by its position itself, and no rounding excuses its
        angle. What is moved once is whole no more.
        """
        found = self.moved(value, units * UNIT)
        np.copyto(found, value, where=(value == np.rint(value)) & (np.abs(value) < _LAST_WHOLE))
        return found

    def terms(self, value: Any, length: int) -> Any:
        """The terms of a sum, each moved as if it carried the rounding of the additions."""
        if not isinstance(value, np.ndarray) or value.dtype != np.float64:
            return value
        return self.moved(value, _TO_DEVIATION * walk(length) * UNIT)


def _moved_by(
    pool: NDArray[np.float64], value: NDArray[Any], size: float, rng: Generator
) -> NDArray[Any]:
    start, count = int(rng.integers(_POOL)), value.size
    part = pool[start : start + count]
    if part.size < count:
        part = np.resize(pool[start : start + _POOL], count)
    factors = np.multiply(part.reshape(value.shape), size)
    # A single number times a single number is no array in NumPy; the noise needs one.
    factors = np.asarray(factors)
    factors += 1.0
    return np.asarray(value * factors)


@functools.cache
def _errors() -> NDArray[np.float64]:
    """1/2 to 1, signed. None is small: a whole row may hang on a single one."""
    rng = np.random.default_rng(0)
    sizes = rng.uniform(0.5, 1.0, _POOL)
    return _laid_out(np.where(rng.random(_POOL) < 0.5, -sizes, sizes))


@functools.cache
def _normal() -> NDArray[np.float64]:
    """Normally distributed numbers."""
    return _laid_out(np.random.default_rng(1).standard_normal(_POOL))


def _laid_out(pool: NDArray[np.float64]) -> NDArray[np.float64]:
    """So often that a run of usual length can start anywhere."""
    return np.resize(pool, _LAID_OUT + _POOL)


class Noisy(np.ndarray[Any, Any]):
    """A float64 array on which every computation is a little wrong."""

    noise: Noise | None

    @classmethod
    def of(cls, value: NDArray[Any], noise: Noise) -> NDArray[Any]:
        """A view of an array; integers stay what they are.

        Arrays of objects are what `np.vectorize` has on its way.
        """
        return cls.of_any(value, noise) if value.dtype in _FLOATS else value

    @classmethod
    def of_any(cls, value: NDArray[Any], noise: Noise) -> NDArray[Any]:
        """A view of an array, of integers too: what a float makes of them is rounded as well."""
        made = value.view(cls)
        made.noise = noise
        return made

    def __array_finalize__(self, parent: Any) -> None:
        """Views and copies share the noise."""
        self.noise = getattr(parent, "noise", None)

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: Any, *inputs: Any, out: Any = None, **options: Any
    ) -> Any:
        """An elementary function: exact in float64, then moved."""
        noise = next(n for x in (*inputs, *(out or ())) if (n := getattr(x, "noise", None)))
        bare = tuple(noise.table(x) if _is_table(x) else _bare(x) for x in inputs)
        length = _terms(ufunc, method, bare, options) if noise.on_sums else 0
        if length:
            bare = tuple(noise.terms(value, length) for value in bare)
        found = getattr(ufunc, method)(*bare, **options)
        if found is None:
            return None
        several = found if isinstance(found, tuple) else (found,)
        if length:
            several = (found + _drifted(method, bare[0], found, length, options, noise),)
        units = _units(ufunc) if noise.on_steps else 0.0
        moved = tuple(_moved(np.asarray(value), units, noise) for value in several)
        for target, value in zip(out or (), moved, strict=False):
            _bare(target)[...] = _bare(value)
        moved = moved if out is None else out
        return moved if isinstance(found, tuple) else moved[0]

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Other functions of NumPy, such as `where`: their results are noisy again."""
        noise = self.noise
        if noise is not None and noise.on_sums and func in _SUMS:
            args = tuple(
                Noisy.of(noise.terms(_bare(a), noise.length), noise) if isinstance(a, Noisy) else a
                for a in args
            )
        found = super().__array_function__(func, types, args, kwargs)
        if isinstance(found, list | tuple):
            return type(found)(self._again(f) for f in found)
        return self._again(found)

    def _again(self, found: Any) -> Any:
        if self.noise is None or not isinstance(found, np.ndarray):
            return found
        return Noisy.of(found, self.noise)


def _bare(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, Noisy) else value


def _is_table(value: Any) -> bool:
    """Whether it is an array that no input went into, and not of whole numbers."""
    if not isinstance(value, np.ndarray) or isinstance(value, Noisy) or not value.ndim:
        return False
    return value.dtype == np.float64 and bool((value != np.rint(value)).any())


def _terms(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], options: Any) -> int:
    """How many terms are added into one element; 0 where nothing is summed.

    A sum of one term is one too: where it is taken off that term again, as a mean is, what is left
    is the rounding of a product that a fused step does without.
    """
    shape = np.shape(inputs[0])
    if ufunc is np.matmul:
        return int(shape[-1]) if shape[-1] > 1 else 0
    if ufunc is not np.add or method not in ("reduce", "accumulate"):
        return 0
    axis = options.get("axis", 0)
    axes = range(len(shape)) if axis is None else np.atleast_1d(axis)
    return math.prod(shape[a] for a in axes)


def _drifted(
    method: str,
    terms: NDArray[Any],
    found: Any,
    length: int,
    options: Any,
    noise: Noise,
) -> NDArray[Any]:
    """An error of sums as large as when every addition rounds the same way."""
    axis = options.get("axis", 0)
    peak = np.abs(np.asarray(found))
    if method == "reduce" and isinstance(axis, int):
        # On its way a sum may be far larger than at its end: sorted terms of both signs.
        kept = bool(options.get("keepdims", False))
        peak = np.abs(np.cumsum(terms, axis=axis)).max(axis=axis, keepdims=kept)
    error: NDArray[Any] = noise.moved(peak, drift(length) / 4.0 * UNIT) - peak
    return error


def _units(ufunc: np.ufunc) -> float:
    if ufunc in _EXACT:
        return 0.0
    return 1.0 if ufunc in _ROUNDED else _FUNCTION_UNITS


def _moved(value: NDArray[Any], units: float, noise: Noise) -> NDArray[Any]:
    if value.dtype == np.float64 and units == 1.0:
        value = noise.moved_but_whole(value, units)
    elif value.dtype in _FLOATS and units:
        value = noise.moved(value, units * UNIT)
    return Noisy.of(value, noise)
