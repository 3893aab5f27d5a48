"""Input buffers that stay where they are, with a guard zone on both sides.

Putting set after set of inputs through the same addresses shows kernels that remember by pointer;
comparing afterwards shows kernels that write to what they may only read.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundry.engines.base import Call
from foundry.program import Arrays

_GUARD_BYTES = 4096
_ALIGNMENT = 64
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
            guarded.array[...] = inputs[name]
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
    def __init__(self, like: NDArray[Any]) -> None:
        room = np.full(like.nbytes + 2 * _GUARD_BYTES + _ALIGNMENT, _PATTERN, np.uint8)
        start = _GUARD_BYTES + (-(room.ctypes.data + _GUARD_BYTES)) % _ALIGNMENT
        self._before = room[:start]
        self._after = room[start + like.nbytes :]
        inside = room[start : start + like.nbytes]
        self.array: NDArray[Any] = inside.view(like.dtype).reshape(like.shape)

    @property
    def intact(self) -> bool:
        return bool((self._before == _PATTERN).all() and (self._after == _PATTERN).all())


def _same_bytes(one: NDArray[Any], other: NDArray[Any]) -> bool:
    first, second = (np.ascontiguousarray(a).reshape(-1).view(np.uint8) for a in (one, other))
    return np.array_equal(first, second)
