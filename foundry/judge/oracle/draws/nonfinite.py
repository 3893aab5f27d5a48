"""NaN and infinities: inputs that hold a few, and what an op then states of its outputs.

An op says by its field `nonfinite` whether it is asked at all. What it states is what its oracle
and its baseline agree on: where one of them gives a number and the other none, a kernel is free.
Of infinities alone, only the finite values that come of them are asked, such as exp(-infinity): a
kernel that takes another way to the same mathematics may well have a NaN where the formula has an
infinity (a compensated sum, a largest term taken out first), or a number where it has a NaN.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from foundry.judge.matching import Expected, Within
from foundry.program import Arrays
from ops.fills import Real
from ops.spec import Nonfinite, Op, present
from ops.workload import Workload, fill_of

NAN, INFINITE = "nan", "infinite"
"""Distributions: normal values with a few in their places that are no numbers, or infinite."""
ONE_NAN, ONE_INFINITY = "one nan", "one infinity"
"""The same with one of them at most in the whole tensor."""
NAN_OF_ANOTHER = "nan of another"
"""As the first, and another tensor is the one that holds many."""
SPARING: Mapping[str, str] = MappingProxyType(
    {NAN: ONE_NAN, INFINITE: ONE_INFINITY, NAN_OF_ANOTHER: ONE_NAN}
)
"""What fills all tensors but one: a NaN in every column of a matrix would hide those of the other
factor, and with them a kernel that loses them.
"""
ASKED: Mapping[Nonfinite, tuple[str, ...]] = MappingProxyType(
    {"undefined": (), "nan": (NAN,), "propagate": (NAN, INFINITE)}
)
"""The distributions that an op is asked for, by its field."""
_SHARE = 1 / 3
"""Of the rows that hold any."""
_MOST = 3
"""In one row."""
_DENSE = 1 / 3
"""Of these rows: full of them."""
_ZEROS = 1 / 8
"""Of the numbers."""
_SPARED = 1 / 2
"""Of the tensors that hold one of them at most: without any."""

Values = NDArray[np.float64]
_Shape = tuple[int, ...]


def _nan(rng: Generator, shape: _Shape, dtype: str) -> Values:
    return np.where(_planted(rng, shape), np.nan, _numbers(rng, shape))


def _one_nan(rng: Generator, shape: _Shape, dtype: str) -> Values:
    return np.where(_one(rng, shape), np.nan, _numbers(rng, shape))


def _infinite(rng: Generator, shape: _Shape, dtype: str) -> Values:
    signs = np.where(rng.integers(0, 2, (*shape[:-1], 1) if shape else ()) == 0, -1.0, 1.0)
    return np.where(_planted(rng, shape), signs * np.inf, _numbers(rng, shape))


def _one_infinity(rng: Generator, shape: _Shape, dtype: str) -> Values:
    return np.where(_one(rng, shape), rng.choice([-np.inf, np.inf]), _numbers(rng, shape))


def _numbers(rng: Generator, shape: _Shape) -> Values:
    """Normal values, and zeros: a kernel may leave out what a zero is multiplied with."""
    return np.where(rng.random(shape) < _ZEROS, 0.0, rng.standard_normal(shape))


def _one(rng: Generator, shape: _Shape) -> NDArray[np.bool_]:
    """A place anywhere, or none."""
    found = np.zeros(shape, bool)
    if shape and found.size and rng.random() >= _SPARED:
        found.reshape(-1)[rng.integers(found.size)] = True
    return found


def _planted(rng: Generator, shape: _Shape) -> NDArray[np.bool_]:
    """Where there are any: in some rows, never in all of several.

    In most of these is one or a few. They lie anywhere, the end of a row most often: one lane may
    be the one to lose them. Some rows are full of them, for where each element counts alone, one
    place in a thousand may lose them.
    """
    planted = np.zeros(shape, bool)
    if not shape or not planted.size:
        return planted
    rows, columns = math.prod(shape[:-1]), shape[-1]
    some = max(1, int(rows * _SHARE))
    flat = planted.reshape(rows, columns)
    for row in rng.choice(rows, some, replace=False):
        if rng.random() < _DENSE:
            flat[row] = rng.random(columns) < _SHARE
            continue
        count = rng.integers(1, _MOST + 1)
        is_last = count == 1 and rng.random() < 1 / 2
        flat[row, -1 if is_last else rng.integers(0, columns, count)] = True
    return planted


DRAWS: Mapping[str, Callable[[Generator, _Shape, str], Values]] = MappingProxyType(
    {
        NAN: _nan,
        INFINITE: _infinite,
        NAN_OF_ANOTHER: _nan,
        ONE_NAN: _one_nan,
        ONE_INFINITY: _one_infinity,
    }
)
"""The distributions by name."""


def may_hold(op: Op, workload: Workload) -> tuple[str, ...]:
    """The tensors that may hold NaN and infinities: given, and of any value."""
    given = present(op, workload)
    return tuple(t.name for t in given if fill_of(t, workload) == Real())


def of_large(op: Op, workload: Workload) -> tuple[str, ...]:
    """What a large workload meets: NaN, which tells more kernels apart than infinities.

    Few workloads are large, so where two factors may hold many, each of two does once: those of one
    hide what becomes of the other's.
    """
    if not ASKED[op.nonfinite]:
        return ()
    return (NAN, NAN_OF_ANOTHER) if len(may_hold(op, workload)) > 1 else (NAN,)


def one_of(op: Op, workload: Workload, seed: int) -> tuple[str, ...]:
    """One of the distributions that the op is asked for, by chance; empty where it is for none.

    What is too large for both meets one of them.
    """
    asked = ASKED[op.nonfinite]
    return (random.Random(f"{seed} nonfinite {workload.id}").choice(asked),) if asked else ()


def stated(
    op: Op, distribution: str, expected: Sequence[Expected], baseline: Arrays
) -> tuple[Expected, ...]:
    """What the op states under one of these distributions; all else is free.

    Args:
        op: The op.
        distribution: One of `DRAWS`.
        expected: What the oracle gives, by output.
        baseline: What a baseline gives on the same inputs.
    """
    outputs = zip(op.outputs, expected, strict=True)
    return tuple(_freed(want, baseline[tensor.name], distribution) for tensor, want in outputs)


def _freed(want: Expected, baseline: NDArray[np.generic], distribution: str) -> Expected:
    if not isinstance(want, Within):
        return want
    value, other = want.value.astype(np.float64), baseline.astype(np.float64)
    with np.errstate(invalid="ignore"):
        both = (np.isnan(value) & np.isnan(other)) | (np.isinf(value) & (value == other))
    both |= np.isfinite(value) & np.isfinite(other)
    if distribution == INFINITE:
        both &= np.isfinite(value)
    return replace(want, free=~both)
