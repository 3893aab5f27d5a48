"""Input buffers that stay where they are: read-only, between pages that nobody may touch.

Putting set after set of inputs through the same addresses shows kernels that remember by pointer. A
kernel that writes to an input ends its process, though it put back what was there; so does one that
reads far beyond. An engine may have copied the inputs: comparing afterwards shows writes to those.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundry.engines.base import Call
from foundry.program import Arrays

_ALIGNMENT = 64
_PAGE = mmap.PAGESIZE
_NO_ACCESS, _READ, _READ_WRITE = 0, 1, 3
_PATTERN = 0xA5


class Buffers:
    """One guarded buffer per input.

    Args:
        like: Arrays whose names, shapes and dtypes the buffers take.
    """

    def __init__(self, like: Arrays) -> None:
        self._guarded = {name: _Guarded(array) for name, array in like.items()}

    def fill(self, inputs: Arrays) -> Arrays:
        """Copy inputs into the buffers, and give the buffers."""
        for name, guarded in self._guarded.items():
            guarded.fill(inputs[name])
        return {name: guarded.array for name, guarded in self._guarded.items()}

    def changed(self, call: Call, inputs: Arrays) -> str | None:
        """Name of the first input that is not as it was, or whose guard was written.

        Args:
            call: Read the inputs where its kernel does: an engine may have copied them.
            inputs: What they were.
        """
        seen = call.inputs()
        for name, guarded in self._guarded.items():
            if not guarded.intact or not _same_bytes(seen[name], inputs[name]):
                return name
        return None


class _Guarded:
    """An array that ends with its last page, less what its alignment asks for."""

    def __init__(self, like: NDArray[Any]) -> None:
        pages = max(1, -(-(like.nbytes + _ALIGNMENT) // _PAGE))
        self._memory = mmap.mmap(-1, (pages + 2) * _PAGE)
        self._start = ctypes.addressof(ctypes.c_char.from_buffer(self._memory)) + _PAGE
        self._size = pages * _PAGE
        for wall in (self._start - _PAGE, self._start + self._size):
            _protect(wall, _PAGE, _NO_ACCESS)
        room = np.frombuffer(self._memory, np.uint8, count=self._size, offset=_PAGE)
        room.fill(_PATTERN)
        first = (self._size - like.nbytes) // _ALIGNMENT * _ALIGNMENT
        self._zones = room[:first], room[first + like.nbytes :]
        self.array: NDArray[Any] = (
            room[first : first + like.nbytes].view(like.dtype).reshape(like.shape)
        )

    def fill(self, values: NDArray[Any]) -> None:
        """Copy values into the array, which nobody else may write to."""
        _protect(self._start, self._size, _READ_WRITE)
        self.array[...] = values
        _protect(self._start, self._size, _READ)

    @property
    def intact(self) -> bool:
        return all(bool((zone == _PATTERN).all()) for zone in self._zones)


@functools.cache
def _mprotect() -> Any:
    function = ctypes.CDLL(None, use_errno=True).mprotect
    function.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return function


def _protect(address: int, size: int, access: int) -> None:
    if _mprotect()(address, size, access):
        raise MemoryError(f"cannot protect {size} bytes of an input")


def _same_bytes(one: NDArray[Any], other: NDArray[Any]) -> bool:
    first, second = (np.ascontiguousarray(a).reshape(-1).view(np.uint8) for a in (one, other))
    return np.array_equal(first, second)
