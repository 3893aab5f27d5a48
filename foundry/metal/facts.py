"""What a built kernel tells the host of itself: mirrors `prelude/functions.h`."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

from foundry.msl.run.runtime import MAX_THREADS, LoadedKernel

_OTHER, _FLOAT, _BFLOAT, _SIGNED, _UNSIGNED, _BOOL = range(6)
_FIELDS = ("index", "is_present", "element", "scalar_bytes", "count", "bytes")


@dataclass(frozen=True)
class Fact:
    """One parameter in a buffer or in threadgroup memory."""

    index: int
    """Where the host binds it."""
    is_present: bool
    """Whether the function constants that it depends on say that it is there."""
    dtype: str | None
    """MLX dtype of the scalars that its type is made of; None: a struct, or nothing known."""
    count: int
    """Scalars in one."""
    bytes: int
    """Of one; 0 where it has no size."""

    @property
    def is_struct(self) -> bool:
        """Whether it has members of its own."""
        return self.dtype is None and self.bytes > 0


@dataclass(frozen=True)
class Facts:
    """All that a kernel tells: of its buffers, its threadgroup memory, its threads."""

    parameters: tuple[Fact, ...]
    most_threads: int


def facts_of(library: LoadedKernel) -> Facts:
    """What a loaded kernel tells."""
    handle = library.handle
    count = ctypes.c_uint32.in_dll(handle, "mf_parameter_count").value
    table = (ctypes.c_uint32 * (len(_FIELDS) * (count + 1))).in_dll(handle, "mf_parameters")
    rows = [table[n * len(_FIELDS) : (n + 1) * len(_FIELDS)] for n in range(count)]
    most = ctypes.c_uint32.in_dll(handle, "mf_most_threads").value
    return Facts(tuple(map(_fact, rows)), min(most, MAX_THREADS) or MAX_THREADS)


def _fact(row: list[int]) -> Fact:
    index, is_present, element, scalar_bytes, count, size = row
    dtype = {
        _FLOAT: f"float{8 * scalar_bytes}",
        _BFLOAT: "bfloat16",
        _SIGNED: f"int{8 * scalar_bytes}",
        _UNSIGNED: f"uint{8 * scalar_bytes}",
        _BOOL: "bool_",
    }.get(element)
    return Fact(index, bool(is_present), dtype, count, size)
