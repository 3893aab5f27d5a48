"""Is an output right? Every element, exact shape and dtype, finite wherever the oracle is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundry.harness.frames import dtype_name
from foundry.judge.oracle.bounds import Expected
from foundry.program import TensorSpec
from ops.dtypes import numpy_dtype


@dataclass(frozen=True)
class Difference:
    """The outcome of one comparison."""

    max_abs_error: float = 0.0
    bound_ratio: float = 0.0
    """Largest error divided by its bound; infinite where no bound could hold."""
    fault: str | None = None
    """None: right. Otherwise what is wrong with which element, as one clause."""


def compare(spec: TensorSpec, got: NDArray[Any] | None, expected: Expected) -> Difference:
    """Hold one output against the oracle.

    Args:
        spec: The shape and dtype that the output must have.
        got: What the kernel left there; None if the output is missing.
        expected: Oracle and bounds.
    """
    if got is None:
        return _wrong("it is missing")
    if tuple(got.shape) != spec.shape:
        return _wrong(f"its shape is {list(got.shape)}, not {list(spec.shape)}")
    if dtype_name(got) != spec.dtype:
        return _wrong(f"its dtype is {dtype_name(got)}, not {spec.dtype}")
    if not got.size:
        return Difference()
    if expected.bound is None:
        return _exact(got, expected.value.astype(numpy_dtype(spec.dtype)))
    return _close(got, expected.value, expected.bound)


def _exact(got: NDArray[Any], want: NDArray[Any]) -> Difference:
    same = (got == want) | (_is_nan(got) & _is_nan(want))
    if same.all():
        return Difference()
    where = _first(~same)
    with np.errstate(all="ignore"):
        error = np.abs(got.astype(np.float64) - want.astype(np.float64))
    worst = float(np.nanmax(np.where(np.isfinite(error), error, np.inf)))
    fault = _describe(got, where, f"expected exactly {want[where]}", ~same)
    return Difference(worst, float("inf"), fault)


def _close(got: NDArray[Any], want: NDArray[Any], bound: NDArray[Any]) -> Difference:
    wide = got.astype(np.float64)
    limit = _largest(got.dtype)
    finite = np.isfinite(want) & (np.abs(want) <= limit)
    with np.errstate(all="ignore"):
        # A right result this close to the end of the range may round beyond it.
        ends = finite & np.isinf(wide) & (np.abs(want) + bound >= limit)
        wide = np.where(ends, np.clip(wide, -limit, limit), wide)
        error = np.where(finite, np.abs(wide - want), 0.0)
        # Where the oracle leaves the range of the dtype, infinity or the last number will do.
        beyond = ~finite & ~np.isnan(want)
        same = np.where(np.isnan(want), np.isnan(wide), True)
        same &= np.where(beyond, (wide * np.sign(want)) >= 0.99 * limit, True)
        ratio = np.where(same, error / bound, np.inf)
    ratio = np.where(np.isnan(ratio), np.inf, ratio)
    error = np.where(np.isfinite(error), error, np.inf)
    worst = float(ratio.max())
    if worst <= 1.0:
        return Difference(float(error.max()), worst)
    wrong = ratio > 1.0
    where = _first(ratio == worst)
    fault = _describe(got, where, f"expected {want[where]:.9g} within {bound[where]:.2g}", wrong)
    return Difference(float(error.max()), worst, fault)


def _describe(got: NDArray[Any], where: tuple[int, ...], claim: str, wrong: NDArray[Any]) -> str:
    count = f"{int(wrong.sum())} of {wrong.size} elements are wrong"
    unwritten = wrong & _poisoned(got)
    if unwritten.any():
        first = _first(unwritten)
        return (
            f"{int(unwritten.sum())} of {wrong.size} elements were never written, "
            f"the first at {list(first)}"
        )
    value = got[where]
    shown = f"{float(value):.9g}" if got.dtype.kind not in "iub" else str(value)
    first = _first(wrong)
    position = f"at {list(where)} it is {shown}, {claim}"
    return f"{position}; {count}, the first at {list(first)}"


def _poisoned(got: NDArray[Any]) -> NDArray[np.bool_]:
    """Elements that still hold the 0xFF bytes that were there before the launch."""
    raw = np.ascontiguousarray(got).view(np.uint8).reshape(*got.shape, got.dtype.itemsize)
    poisoned: NDArray[np.bool_] = (raw == 0xFF).all(axis=-1)
    return poisoned


def _wrong(fault: str) -> Difference:
    return Difference(float("inf"), float("inf"), fault)


def _first(mask: NDArray[Any]) -> tuple[int, ...]:
    index = np.unravel_index(int(np.argmax(mask)), mask.shape)
    return tuple(int(i) for i in index)


def _is_nan(array: NDArray[Any]) -> NDArray[np.bool_]:
    nan: NDArray[np.bool_] = array != array
    return nan


def _largest(dtype: np.dtype[Any]) -> float:
    if dtype.name == "float16":
        return 65504.0
    return 3.3895313892515355e38 if dtype.name == "bfloat16" else 3.4028234663852886e38
