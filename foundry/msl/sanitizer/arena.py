"""Memory in which every array has a slot far larger than itself.

Any address in a slot names its array, however far out of bounds it is, and an access there harms
nothing: the slots are reserved, not used.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundry.errors import EnvironmentUnusable

_SHIFTS = (36, 32, 30, 28, 26, 24, 22)
"""Slots of 64 GiB hold what 32-bit indices can reach; smaller ones where memory is limited."""
_NO_RESERVE = 0x4000


class Arena:
    """Slots for `count` arrays of at most `largest` bytes.

    Raises:
        EnvironmentUnusable: when not even slots that just hold them can be reserved.
    """

    def __init__(self, count: int, largest: int) -> None:
        self.shift, self._memory = _reserve(count, largest)
        buffer = (ctypes.c_char * len(self._memory)).from_buffer(self._memory)
        self.begin = ctypes.addressof(buffer)
        self._buffer = buffer
        self.bytes = len(self._memory)
        self._used = 0

    def take(self, size: int) -> tuple[int, NDArray[Any]]:
        """The next slot's number, and `size` zeroed bytes in the middle of it."""
        slot = self._used
        self._used += 1
        start = (slot << self.shift) + (1 << (self.shift - 1))
        raw = np.frombuffer(self._memory, np.uint8, count=size, offset=start)
        return slot, raw

    def address(self, slot: int) -> int:
        """Where a slot's array starts."""
        return self.begin + (slot << self.shift) + (1 << (self.shift - 1))

    def close(self) -> None:
        """Give the memory back, at once or, where a failure still holds arrays in it, with them."""
        del self._buffer
        with contextlib.suppress(BufferError):  # it would hide that failure
            self._memory.close()


def _reserve(count: int, largest: int) -> tuple[int, mmap.mmap]:
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NO_RESERVE
    # The array starts in the middle: half a slot holds it and as much again behind it.
    shifts = [shift for shift in _SHIFTS if largest <= 1 << (shift - 2)]
    for shift in shifts:
        try:
            return shift, mmap.mmap(-1, count << shift, flags=flags)
        except (OSError, OverflowError, ValueError):
            continue
    raise EnvironmentUnusable(
        f"the sanitizer cannot reserve address space for {count} arrays of {largest} bytes.",
        "Raise the limit of virtual memory (ulimit -v).",
    )
