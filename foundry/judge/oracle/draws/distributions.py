"""The usual distributions by name: each finds kernels that are right under all others.

Scaled and negated values catch remembered results, cancelling ones catch reduced precision, ties
and duplicates catch selections, sparse ones show a term that was left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from foundry.judge.oracle.draws import near
from ops.dtypes import numpy_dtype

Values = NDArray[np.float64]
Shape = tuple[int, ...]
Draw = Callable[[Generator, Shape, str], Values]

MIXED = "mixed"
"""The distribution whose rows are drawn from all the others."""
EVERY = "every"
"""The distribution that goes through all values, dealt to ops that treat each element alone."""
TO_THE_ENDS = ("widest", EVERY)
_NEAR = 48.0
"""Where functions of one number change most."""
_KEPT = 2 / 3
"""Of the rows that are masked: with one element that is not."""
_ZERO_ROWS = 1 / 3
"""Of rows with ties: with nothing but zeros, of both signs."""
_ROUND = np.arange(-512, 513) / 8.0
_EXTREME_EXPONENT = MappingProxyType({"float16": 10, "bfloat16": 24, "float32": 24})
"""Largest power of two drawn: products and long sums of them stay finite in float32."""
_WIDEST_EXPONENT = MappingProxyType({"float16": 15, "bfloat16": 125, "float32": 125})
"""The same where nothing is added or multiplied, and every number must be kept apart."""
_NEXT_NUMBER = MappingProxyType({"float16": 2.0**-10, "bfloat16": 2.0**-7})
"""Of 1.5, as a share of the power of two below."""
_BEYOND_HALF = (16.1, 17.0)
_OFFSET_EXPONENTS = MappingProxyType({"float16": (5, 11), "bfloat16": (5, 15), "float32": (9, 15)})


def _normal(rng: Generator, shape: Shape, dtype: str) -> Values:
    return rng.standard_normal(shape)


def _touched(rng: Generator, shape: Shape, dtype: str) -> Values:
    """The normal values with one of them changed, anywhere."""
    values: Values = np.asarray(rng.standard_normal(shape))
    if values.size:
        values.reshape(-1)[rng.integers(values.size)] += 1.5
    return values


def _uniform(rng: Generator, shape: Shape, dtype: str) -> Values:
    return rng.uniform(-1.0, 1.0, shape)


def _scaled(factor: float) -> Draw:
    return lambda rng, shape, dtype: factor * rng.standard_normal(shape)


def _cancelling(rng: Generator, shape: Shape, dtype: str) -> Values:
    """Pairs v, -v spread over the last axis, and a small remainder: sums nearly vanish."""
    values = rng.standard_normal(shape)
    if not shape or shape[-1] < 2:
        return values
    half = shape[-1] // 2
    values[..., half : 2 * half] = -values[..., :half]
    shuffled: Values = values[..., rng.permutation(shape[-1])]
    return shuffled + 0.01 * rng.standard_normal(shape)


def _constant(rng: Generator, shape: Shape, dtype: str) -> Values:
    """Every row has one value of its own, in every other row as large as the means of `offset`,
    or beyond what 16 bits hold, where a search for the largest may begin.

    The square of a large mean, less the mean of equal squares, is negative where both are rounded.
    """
    rows = _column(shape)
    powers = rng.uniform(*_OFFSET_EXPONENTS.get(dtype, (5, 7)), rows)
    if dtype in ("float32", "bfloat16"):
        powers = np.where(rng.random(rows) < 0.5, rng.uniform(*_BEYOND_HALF, rows), powers)
    large = np.exp2(powers)
    # Weights are one row: large ones would multiply what rounding leaves of a large mean.
    is_large = _even_rows(shape) if len(shape) > 1 else False
    sizes = np.where(is_large, large, rng.uniform(0.1, 2.0, rows))
    values: Values = sizes * _signs(rng, rows)
    return np.broadcast_to(values, shape).copy()


def _ties(rng: Generator, shape: Shape, dtype: str) -> Values:
    """Few values, among them both zeros, which are equal; in some rows nothing is above them.

    Some of several rows are all zeros, most of them positive: a kernel that takes a negative
    one for less puts it behind all others, and beyond whatever share or rank ends among them.
    """
    values: Values = np.array([-1.0, -0.5, -0.0, 0.0, 0.5, 1.0])[rng.integers(0, 6, shape)]
    rows = _column(shape)
    values = np.where((rng.random(rows) < 0.5) & (values > 0), -values, values)
    is_zero = (rng.random(rows) < _ZERO_ROWS) & (math.prod(rows) > 1)
    zeros = np.where(rng.random(shape) < np.exp2(-rng.uniform(1.0, 6.0, rows)), -0.0, 0.0)
    return np.where(is_zero, zeros, values)


def _duplicates(rng: Generator, shape: Shape, dtype: str) -> Values:
    """About three of every value, at random places."""
    count = max(1, math.prod(shape) // 3)
    return rng.standard_normal(count)[rng.integers(0, count, shape)]


def _denormal(rng: Generator, shape: Shape, dtype: str) -> Values:
    """Half ordinary values, half below the smallest normal number."""
    small = rng.uniform(-1.0, 1.0, shape) * smallest_normal(dtype)
    return np.where(rng.random(shape) < 0.5, small, rng.standard_normal(shape))


def _extreme(rng: Generator, shape: Shape, dtype: str) -> Values:
    """Magnitudes over many powers of two."""
    top = _EXTREME_EXPONENT.get(dtype, 6)
    return _signs(rng, shape) * np.exp2(rng.uniform(-top, top, shape))


def _widest(rng: Generator, shape: Shape, dtype: str) -> Values:
    """Magnitudes up to the largest that is safe to compare; every other row lies far below zero.

    Some rows are, but for one element or none, the lowest number there is, or minus infinity, as
    where logits are masked; or the largest, which a search for the least begins with.
    """
    top = _WIDEST_EXPONENT.get(dtype, 6)
    below = _even_rows(shape)
    signs = np.where(below, -1.0, _signs(rng, shape))
    values: Values = signs * np.exp2(rng.uniform(np.where(below, 0.6 * top, 0.0), top, shape))
    if not values.size:
        return values
    kind = rng.random(_column(shape))
    masked = np.where(kind < 0.25, -np.inf, -largest_finite(dtype)) * _signs(rng, kind.shape)
    kept = np.arange(shape[-1]) == rng.integers(0, shape[-1], _column(shape)) if shape else True
    kept &= rng.random(kind.shape) < _KEPT
    return np.where((kind < 0.5) & ~np.asarray(kept), masked, values)


def _planted(rng: Generator, shape: Shape, dtype: str) -> Values:
    """The largest of every row lie in steps of a power of two, all in the share of one lane."""
    values = rng.standard_normal(shape)
    if not shape or shape[-1] < 2:
        return values
    most = min(10, shape[-1].bit_length() - 2)
    steps = 1 << rng.integers(min(5, most), most + 1, _column(shape))
    first = rng.integers(0, steps)
    winners = np.arange(shape[-1]) % steps == first
    return np.where(winners, 6.0 + np.abs(values), values)


def _every(rng: Generator, shape: Shape, dtype: str) -> Values:
    """All normal numbers of a 16-bit dtype; of others, as many as fit, evenly over the exponents
    and over what is near zero, and round ones, where formulas change; in random order, and again
    from the start where there is room.
    """
    count = math.prod(shape)
    if dtype in ("float16", "bfloat16"):
        with np.errstate(invalid="ignore"):
            bits = np.arange(1 << 16, dtype=np.uint16).view(numpy_dtype(dtype)).astype(np.float64)
        known = bits[np.isfinite(bits) & (np.abs(bits) >= smallest_normal(dtype))]
    else:
        low, high = math.log2(smallest_normal(dtype)), math.log2(largest_finite(dtype))
        powers = low + (high - low) * _strata(rng, count - count // 2)
        around = _NEAR * (2.0 * _strata(rng, max(0, count // 2 - _ROUND.size)) - 1.0)
        known = np.concatenate([np.exp2(powers) * _signs(rng, powers.shape), around, _ROUND])
    order = rng.permutation(max(count, known.size)) % max(known.size, 1)
    return known[order[:count]].reshape(shape)


def _strata(rng: Generator, count: int) -> Values:
    """One number from each of so many equal parts of 0 to 1."""
    found: Values = (np.arange(count) + rng.random(count)) / max(count, 1)
    return found


def _sorted(rng: Generator, shape: Shape, dtype: str) -> Values:
    values: Values = rng.standard_normal(shape)
    if not shape:
        return values
    values.sort(axis=-1)
    return values if rng.random() < 0.5 else values[..., ::-1].copy()


def _offset(rng: Generator, shape: Shape, dtype: str) -> Values:
    """A mean far larger than the deviation, where mean(x^2) - mean(x)^2 cancels, of either sign.

    In a row that lies far below zero, exp underflows unless the maximum is taken off first. In
    half precision a large mean leaves the deviation no digits, so in every third row a few values
    are the next number above or below, and all others equal.
    """
    rows = _column(shape)
    mean = _signs(rng, rows) * np.exp2(rng.uniform(*_OFFSET_EXPONENTS.get(dtype, (5, 7)), rows))
    values: Values = mean + rng.standard_normal(shape)
    step = _NEXT_NUMBER.get(dtype, 0.0)
    if not step:
        return values
    jumps = np.where(rng.random(shape) < 1 / 64, _signs(rng, shape), 0.0)
    third = (np.arange(math.prod(rows)) % 3 == 0).reshape(rows)
    return np.where(third, np.exp2(np.rint(np.log2(np.abs(mean)))) * (1.5 + step * jumps), values)


def _band(rng: Generator, shape: Shape, dtype: str) -> Values:
    """Every row near a value of its own, of any size that functions of one number care about."""
    rows = _column(shape)
    centre = _signs(rng, rows) * np.exp2(rng.uniform(-3.0, 7.0, rows))
    values: Values = centre + np.minimum(1.0, np.abs(centre) / 16) * rng.standard_normal(shape)
    return values


def _sparse(rng: Generator, shape: Shape, dtype: str) -> Values:
    """Zeros, and in each row a few values, of which the last is one in every other row and more."""
    if not shape or 0 in shape:
        return np.zeros(shape)
    keep = rng.random(shape) < min(0.5, 3.0 / shape[-1])
    keep[..., -1:] |= _even_rows(shape) | (rng.random((*shape[:-1], 1)) < 0.5)
    return np.where(keep, rng.standard_normal(shape) * 4.0, 0.0)


def _mixed(rng: Generator, shape: Shape, dtype: str) -> Values:
    """Every row from a distribution of its own; now and then one row in parts, where rows are few.

    One run then shows what else takes as many as there are distributions.
    """
    if not shape or 0 in shape:
        return _normal(rng, shape, dtype)
    rows = math.prod(shape[:-1])
    width = shape[-1] // _PARTS if rows < _PARTS <= shape[-1] and rng.random() < 0.5 else shape[-1]
    values: Values = np.empty((rows, shape[-1]))
    for start in range(0, shape[-1], max(width, 1)):
        part = values[:, start : start + width]
        chosen = rng.integers(0, len(_MIXED), rows)
        for number in np.unique(chosen):
            at = np.flatnonzero(chosen == number)
            part[at] = DISTRIBUTIONS[_MIXED[number]](rng, (at.size, part.shape[1]), dtype)
    return values.reshape(shape)


def _even_rows(shape: Shape) -> NDArray[np.bool_]:
    """Which rows have an even number, the first of them; one column wide."""
    rows = _column(shape)
    even: NDArray[np.bool_] = (np.arange(math.prod(rows)) % 2 == 0).reshape(rows)
    return even


def _column(shape: Shape) -> Shape:
    """The shape of one value per row; a scalar is a row of its own."""
    return (*shape[:-1], 1) if shape else ()


def _signs(rng: Generator, shape: Shape) -> Values:
    signs: Values = np.where(rng.integers(0, 2, shape) == 0, -1.0, 1.0)
    return signs


def smallest_normal(dtype: str) -> float:
    """Smallest normal number of a float dtype; below it precision is lost gradually."""
    return 2.0**-14 if dtype == "float16" else 2.0**-126


def largest_finite(dtype: str) -> float:
    """Largest number of a float dtype; of any other, the largest that float32 holds."""
    if dtype == "float16":
        return 65504.0
    return 3.3895313892515355e38 if dtype == "bfloat16" else 3.4028234663852886e38


DISTRIBUTIONS: Mapping[str, Draw] = MappingProxyType(
    {
        "normal": _normal,
        "touched": _touched,
        "sparse": _sparse,
        "ties": _ties,
        "cancelling": _cancelling,
        "extreme": _extreme,
        "uniform": _uniform,
        "large": _scaled(3.0),
        "constant": _constant,
        "small": _scaled(0.01),
        near.FAINT: near.faint,
        "duplicates": _duplicates,
        "negated": _scaled(-1.0),
        "sorted": _sorted,
        "offset": _offset,
        "denormal": _denormal,
        "widest": _widest,
        "planted": _planted,
        "band": _band,
        near.ALIKE: _normal,
        MIXED: _mixed,
        EVERY: _every,
    }
)
"""Distributions by name, the ones that find most first."""
_PARTS = 8
_MIXED = (
    *("normal", "sparse", "ties", "cancelling", "extreme", "large", "constant", "small"),
    *("duplicates", "sorted", "offset", "planted", "band", near.FAINT),
)
"""Distributions of the rows of `mixed`."""
