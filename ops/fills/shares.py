"""Shares: the values of a distribution as places between the two ends of a range."""

from __future__ import annotations

import hashlib
import math

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ops.fills.base import Shape, Values

Shares = NDArray[np.float64]


def shares(rng: Generator, shape: Shape, dtype: str, values: Values) -> Shares:
    """The values that are dealt, each as a share from 0 to 1 of the way from low to high.

    Normal values come out evenly spread. Where most values differ, both ends and a repetition are
    put at places drawn by chance, for kernels are wrong there first.
    """
    # Before the values: distributions of one stream put them at the same places.
    places = rng.integers(0, max(math.prod(shape), 1), 4)
    drawn = values(rng, shape, dtype)
    found = np.asarray(0.5 * (1.0 + np.tanh(0.7978845608 * (drawn + 0.044715 * drawn**3))))
    flat = found.reshape(-1)
    if flat.size >= 4 and np.unique(flat).size > 0.5 * flat.size:
        first, second, third, fourth = places
        flat[third] = flat[fourth]
        flat[first], flat[second] = 0.0, 1.0
    return found


def chance(rng: Generator, shape: Shape, dtype: str, values: Values) -> Generator:
    """A source of chance that the dealt values seed.

    What is drawn from it follows no distribution, and is still another for every one that is dealt.
    """
    salt = int(rng.integers(0, 2**63))
    drawn = np.ascontiguousarray(values(rng, shape, dtype))
    digest = hashlib.sha256(drawn.tobytes()).digest()
    words = np.frombuffer(digest, dtype=np.uint32).tolist()
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([salt, *words])))


def folded(values: Shares) -> Shares:
    """Values without their sign: negative ones at half their size, for negated ones must differ."""
    return np.where(values < 0, -0.5 * values, values)


def whole(share: Shares, count: int) -> NDArray[np.uint64]:
    """Whole numbers below `count`, from shares; all of them equally likely for even shares."""
    # The largest float64 below 2^64 is less than 2^64 - 1 by 2^11: of no matter for a 64-bit end.
    scaled = np.minimum(np.floor(share * float(count)), np.nextafter(float(count), 0.0))
    return np.minimum(scaled.astype(np.uint64), np.uint64(max(count - 1, 0)))
