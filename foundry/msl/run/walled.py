"""Memory for outputs between walls: a kernel that writes far outside faults, and harms nothing.

As on a Mac an output ends with its page; what is written on the rest of it is lost. Beyond lies
address space that nobody may touch. Memory is used again, since what a call returns is a copy.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundry.msl.run.memory import NO_RESERVE
from foundry.program import TensorSpec
from ops.dtypes import numpy_dtype

_PAGE = 16384
"""Bytes of a page of an Apple GPU."""
_WALLS = (1 << 34, 1 << 31, 1 << 26, 0)
"""Bytes on each side; less where address space is limited."""
_KEPT_BYTES = 256 << 20
_NO_ACCESS, _READ_WRITE = 0, 3

_free: dict[int, list[_Walled]] = {}
"""Memory that is not in use, by size."""


class _Walled:
    """`size` bytes, a whole number of pages, between two walls."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._memory, wall = _reserve(size)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        if wall:
            _protect(start, len(self._memory), _NO_ACCESS)
            _protect(start + wall, size, _READ_WRITE)
        self.bytes = np.frombuffer(self._memory, np.uint8, count=size, offset=wall)


def _reserve(size: int) -> tuple[mmap.mmap, int]:
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NO_RESERVE
    for wall in _WALLS[:-1]:
        try:
            return mmap.mmap(-1, size + 2 * wall, flags=flags), wall
        except (OSError, OverflowError, ValueError):
            continue
    return mmap.mmap(-1, size, flags=flags), 0


@functools.cache
def _mprotect() -> Any:
    function = ctypes.CDLL(None, use_errno=True).mprotect
    function.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return function


def _protect(address: int, size: int, access: int) -> None:
    if _mprotect()(address, size, access):
        raise MemoryError(f"no memory for an output of {size} bytes")


@contextmanager
def walled(specs: list[TensorSpec]) -> Iterator[list[NDArray[Any]]]:
    """Arrays of undefined contents, each between walls of its own, for as long as the block."""
    taken = [_take(_bytes(spec)) for spec in specs]
    try:
        yield [
            memory.bytes[: _bytes(spec)].view(numpy_dtype(spec.dtype)).reshape(spec.shape)
            for memory, spec in zip(taken, specs, strict=True)
        ]
    finally:
        for memory in taken:
            _give_back(memory)


def _bytes(spec: TensorSpec) -> int:
    return numpy_dtype(spec.dtype).itemsize * int(np.prod(spec.shape, dtype=np.int64))


def _take(size: int) -> _Walled:
    pages = max(1, -(-size // _PAGE))
    try:
        return _free[pages].pop()
    except (KeyError, IndexError):
        return _Walled(pages * _PAGE)


def _give_back(memory: _Walled) -> None:
    kept = sum(size * _PAGE * len(waiting) for size, waiting in list(_free.items()))
    if kept + memory.size <= _KEPT_BYTES:
        _free.setdefault(memory.size // _PAGE, []).append(memory)
