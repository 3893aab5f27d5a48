"""Memory in which every array has a slot far larger than itself.

Any address in a slot names its array, however far out of bounds it is, and an access there harms
nothing: the slots are reserved, not used. Beside each lie the stamps that say who touched its
bytes. Arenas are used again: what earlier arrays left is overwritten, or too old to matter.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundry.errors import EnvironmentUnusable
from foundry.msl.run.memory import NO_RESERVE
from foundry.msl.sanitizer.native import STAMP_BYTES, STAMPS

_SHIFTS = (36, 32, 30, 28, 26, 24, 22)
"""Slots of 64 GiB hold what 32-bit indices can reach; smaller ones where memory is limited."""
_FEWEST_SLOTS = 32
_KEPT_BYTES = 64 << 20
"""An arena that once held more is not kept: its memory would stay in use."""


class Arena:
    """Slots for `count` arrays of at most `largest` bytes.

    Raises:
        EnvironmentUnusable: when not even slots that just hold them can be reserved.
    """

    def __init__(self, count: int, largest: int) -> None:
        self.count = max(count, _FEWEST_SLOTS)
        self.shift, self._memory = _reserve(self.count, largest)
        buffer = (ctypes.c_char * len(self._memory)).from_buffer(self._memory)
        self.begin = ctypes.addressof(buffer)
        self._buffer = buffer
        self.bytes = len(self._memory)
        self._used = 0
        self._taken_bytes = 0
        self._stamps: dict[int, _Stamps] = {}

    def fits(self, count: int, largest: int) -> bool:
        """Whether it can be used again for these arrays."""
        small = self._taken_bytes <= _KEPT_BYTES
        return small and count <= self.count and largest <= 1 << (self.shift - 2)

    def clear(self) -> None:
        """Take all slots back."""
        self._used = self._taken_bytes = 0

    def forget(self) -> None:
        """Let all stamps be of no time."""
        self._stamps = {}

    def take(self, size: int) -> tuple[int, NDArray[Any]]:
        """The next slot's number, and `size` bytes in the middle of it."""
        slot = self._used
        self._used += 1
        self._taken_bytes += size
        start = (slot << self.shift) + (1 << (self.shift - 1))
        raw = np.frombuffer(self._memory, np.uint8, count=size, offset=start)
        return slot, raw

    def address(self, slot: int) -> int:
        """Where a slot's array starts."""
        return self.begin + (slot << self.shift) + (1 << (self.shift - 1))

    def stamps(self, slot: int, size: int) -> _Stamps:
        """Memory for the stamps of a slot's array of `size` bytes."""
        known = self._stamps.get(slot)
        if known is None or known.size < size:
            self._stamps[slot] = known = _Stamps(size)
        return known

    def close(self) -> None:
        """Give the memory back, at once or, where a failure still holds arrays in it, with them."""
        self._stamps = {}
        del self._buffer
        with contextlib.suppress(BufferError):  # it would hide that failure
            self._memory.close()


class _Stamps:
    """A write and two reads for each of `size` bytes; memory that is not touched costs nothing."""

    def __init__(self, size: int) -> None:
        self.size = size
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NO_RESERVE
        try:
            memory = mmap.mmap(-1, max(size, 1) * STAMP_BYTES * STAMPS, flags=flags)
        except (OSError, OverflowError, ValueError) as error:
            raise EnvironmentUnusable(
                f"the sanitizer cannot reserve memory to watch an array of {size} bytes.",
                "Raise the limit of virtual memory (ulimit -v).",
            ) from error
        self._memory = memory
        self.writes = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        self.reads = self.writes + max(size, 1) * STAMP_BYTES


def _reserve(count: int, largest: int) -> tuple[int, mmap.mmap]:
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NO_RESERVE
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
