"""Arrays laid out for a kernel: aligned memory, argument buffers, the sizes Metal accepts."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundry.msl.frontend.signature import Captured
from foundry.msl.run.runtime import MAX_THREADS
from foundry.program import TensorSpec
from ops.dtypes import numpy_dtype

ALIGNMENT = 64
NO_RESERVE = 0x40 if sys.platform == "darwin" else 0x4000
"""`MAP_NORESERVE`, which Python names on Linux alone, and there since 3.13."""
_GUARD_BYTES = 4096
_PATTERN = 0xA5


def argument_buffers(
    inputs: list[NDArray[Any]], outputs: list[NDArray[Any]], captured: Captured
) -> tuple[list[int], list[NDArray[Any]]]:
    """Addresses in the order of the kernel's buffer indices, and the arrays that hold them.

    Every input is followed by its shape (int32), strides (int64, in elements) and rank (int32)
    where the kernel takes them.
    """
    keep: list[NDArray[Any]] = []
    for array, (shape, strides, ndim) in zip(inputs, captured.shape_info, strict=True):
        keep.append(array)
        if shape:
            keep.append(np.array(array.shape, np.int32))
        if strides:
            keep.append(np.array(array.strides, np.int64) // array.itemsize)
        if ndim:
            keep.append(np.array(array.ndim, np.int32))
    keep.extend(outputs)
    return [array.ctypes.data for array in keep], keep


def refuse_sizes(captured: Captured) -> str | None:
    """Why Metal would not launch these sizes, in MLX's words; None when it would."""
    x, y, z = captured.threadgroup
    if x * y * z > MAX_THREADS:
        return (
            f"Thread group size ({x * y * z}) is greater than  the maximum allowed threads per"
            f" threadgroup ({MAX_THREADS})."
        )
    if min(captured.threadgroup) <= 0 or min(captured.grid) < 0:
        return f"grid {captured.grid} and threadgroup {captured.threadgroup} must be positive"
    return None


def allocate(spec: TensorSpec) -> NDArray[Any]:
    """An array of undefined contents on a cache line of its own."""
    dtype = numpy_dtype(spec.dtype)
    size = dtype.itemsize * int(np.prod(spec.shape, dtype=np.int64))
    raw = np.empty(size + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size].view(dtype).reshape(spec.shape)


def filling(value: float, dtype: np.dtype[Any]) -> NDArray[Any]:
    """An `init_value` as an element of an output: a float32, converted as arm64 does in C++.

    Outside of an integer's range that is the nearest end, of 32 bits for the smaller integers,
    whose upper bits are then lost.
    """
    with np.errstate(over="ignore"):
        given = np.full((), value, np.float32)
        if dtype.kind not in "iu":
            return given.astype(dtype)
    wide = np.iinfo(dtype if dtype.itemsize == 8 else np.dtype(f"{dtype.kind}4"))
    whole = 0 if np.isnan(given) else min(max(float(given), wide.min), wide.max)
    bits = int(whole) & (2 ** (8 * dtype.itemsize) - 1)
    return np.full((), bits, f"u{dtype.itemsize}").view(dtype)


class Guarded:
    """An array with a zone on both sides that nobody may write to."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        size = dtype.itemsize * math.prod(shape)
        room = np.empty(size + 2 * _GUARD_BYTES + ALIGNMENT, np.uint8)
        start = _GUARD_BYTES + (-(room.ctypes.data + _GUARD_BYTES)) % ALIGNMENT
        self._zones = room[:start], room[start + size :]
        for zone in self._zones:
            zone.fill(_PATTERN)
        self.array: NDArray[Any] = room[start : start + size].view(dtype).reshape(shape)

    @property
    def intact(self) -> bool:
        """Whether the zones are as they were."""
        return all(bool((zone == _PATTERN).all()) for zone in self._zones)
