"""Formulas that several oracles share, in float64 and stable at both ends.

What comes in as a kind of array goes out as that kind: the judge follows rounding errors through.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Wide = NDArray[Any]


def logistic(x: Wide) -> Wide:
    """1 / (1 + exp(-x)) without overflow for any finite x."""
    decay = np.exp(-np.abs(x))
    return np.asanyarray(np.where(x >= 0, 1.0, decay) / (1.0 + decay))


def log_one_plus_exp(x: Wide) -> Wide:
    """log(1 + exp(x)) without overflow for any finite x."""
    return np.asanyarray(np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x))))


def normal_share(x: Wide) -> Wide:
    """The share of a normal distribution that lies below x."""
    below = np.vectorize(lambda v: 0.5 * math.erfc(-v / math.sqrt(2.0)), otypes=[np.float64])
    return np.asanyarray(below(x)) if np.size(x) else np.zeros(np.shape(x))


def gelu_tanh(x: Wide) -> Wide:
    """GELU by its tanh form, 0.5 x (1 + tanh(u)), which is x * logistic(2 u)."""
    return x * logistic(2.0 * math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3))


def gelu_tanh_by_the_book(x: Wide) -> Wide:
    """The same with the sum that cancels where x is far below 0."""
    inner = np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3))
    return np.asanyarray(0.5 * x * (1.0 + inner))


def gelu_erf_by_the_book(x: Wide) -> Wide:
    """GELU by 1 + erf(x / sqrt(2)), a sum that cancels where x is far below 0."""
    erf = 2.0 * normal_share(x) - 1.0
    return np.asanyarray(0.5 * x * (1.0 + erf))


def softmax_rows(x: Wide) -> Wide:
    """exp(x - max) / sum(exp(x - max)) over the last axis; an empty row stays empty."""
    shifted = np.exp(x - x.max(axis=-1, keepdims=True, initial=-np.inf))
    return np.asanyarray(shifted / shifted.sum(axis=-1, keepdims=True))
