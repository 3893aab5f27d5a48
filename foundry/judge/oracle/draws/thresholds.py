"""Inputs around what the parameters of a workload say: where a threshold lies, kernels part.

A norm that is clipped, a value that is capped or a mean square beside the number added to it: most
inputs lie far on one side. Rows here have elements, a norm, a mean square or a largest element just
above or below a parameter, and no op says which of these counts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ops.spec import Op
from ops.workload import Workload

THRESHOLDS = "thresholds"
"""The distribution."""
_APART = (1.0, 9.0)
"""How far from the parameter, in powers of two below it."""
_ELEMENTS, _NORM, _MEAN_SQUARE, _LARGEST = range(4)
_SHARES = (0.25, 0.375, 0.125, 0.25)
"""Of rows, how many are of each of these kinds."""
_TINY, _SHARE_OF_TINY = 1e-3, 0.25
"""A number below it is one that is added to a mean square, and comes so many times as often."""

Values = NDArray[np.float64]


def parameters(op: Op, workload: Workload) -> tuple[float, ...]:
    """The values of parameters that are no whole numbers, those of zero excepted."""
    names = (name for name, default in op.params.items() if isinstance(default, float))
    known = (abs(float(workload.params[name])) for name in names)
    return tuple(value for value in known if value)


def draw(rng: Generator, shape: tuple[int, ...], known: Sequence[float]) -> Values:
    """Every row around one of the numbers, in one of the ways in which it may count."""
    values = np.asarray(rng.standard_normal(shape))
    if not values.size or not known:
        return values
    rows = values.reshape(-1, shape[-1] if shape else 1)
    column = (len(rows), 1)
    numbers = np.asarray(known)
    shares = np.where(numbers < _TINY, _SHARE_OF_TINY, 1.0)
    wanted = rng.choice(numbers, column, p=shares / shares.sum())
    kinds = np.where(wanted < _TINY, _MEAN_SQUARE, rng.choice(len(_SHARES), column, p=_SHARES))
    size = np.abs(rows)
    norm = np.sqrt(np.sum(np.square(rows), axis=-1, keepdims=True))
    mean = np.sqrt(np.mean(np.square(rows), axis=-1, keepdims=True))
    now = np.select(
        [kinds == _ELEMENTS, kinds == _NORM, kinds == _MEAN_SQUARE],
        [size, norm, mean / np.sqrt(wanted)],
        size.max(axis=-1, keepdims=True),
    )
    near = wanted * (1.0 + _signs(rng, now.shape) * np.exp2(-rng.uniform(*_APART, now.shape)))
    return np.asarray(rows * near / np.where(now, now, 1.0)).reshape(shape)


def _signs(rng: Generator, shape: tuple[int, ...]) -> Values:
    return np.where(rng.random(shape) < 1 / 2, -1.0, 1.0)
