"""What a program does, in the units that a GPU is made of. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

DEPTHS = (1, 2, 4, 8, 16, 32, 64)
"""Lines of the caches whose misses are counted."""
SECTORS = 4
"""Of 32 bytes, in a line."""
NEIGHBOURS = 8
"""Threadgroups side by side, at most, whose lines are put together."""


@dataclass(frozen=True)
class Reuse:
    """How the lines of 128 bytes of one array are used again, in loads or in stores."""

    instructions: float
    """Of SIMD-groups, of the whole launch; a compiler may join several."""
    touches: float
    """Lines, summed over those."""
    sectors: float
    """Quarters of lines, 32 bytes each, summed likewise."""
    missed: tuple[float, ...]
    """The share of touches that a SIMD-group's own cache of `DEPTHS` lines does not hold."""
    in_step: float
    """The share that remain when the SIMD-groups of a threadgroup go in step and share."""
    of_threadgroup: float
    """Distinct lines of a threadgroup."""
    more: float
    """Lines that each further neighbour adds, in sectors of its own."""
    size_lines: float
    """Of the array."""


@dataclass(frozen=True)
class SharedWork:
    """What SIMD-groups do to threadgroup memory, of the whole launch."""

    instructions: float = 0.0
    passes: float = 0.0
    """Over its 32 banks: words in the fullest, summed over instructions."""
    least_passes: float = 0.0
    """The same had the words lain side by side."""


@dataclass(frozen=True)
class LaunchProfile:
    """One launch, for all its threads."""

    registers: int
    """Of 32 bits, a thread."""
    scratch_bytes: int
    """That a thread keeps in memory: what did not fit into registers, and arrays it indexes."""
    threadgroups: int
    threads: int
    """Of a threadgroup."""
    threadgroup_bytes: int
    work: Mapping[str, float]
    """Instructions by kind, summed over SIMD-groups; what follows `_wait` is how often one waits
    for the loads of a block."""
    shared: SharedWork
    loads: tuple[Reuse, ...]
    """By array in device memory."""
    stores: tuple[Reuse, ...]
    atomics: float = 0.0
    """Atomic operations of lanes on arrays in device memory, of the whole launch."""


@dataclass(frozen=True)
class GpuProfile:
    """A program's launches in order."""

    launches: tuple[LaunchProfile, ...]

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def profile_from(document: Mapping[str, Any]) -> GpuProfile:
    """A profile from its document.

    Raises:
        KeyError, TypeError: It is none.
    """
    return GpuProfile(tuple(map(_launch, document["launches"])))


def _launch(document: Mapping[str, Any]) -> LaunchProfile:
    return LaunchProfile(
        **{
            **document,
            "shared": SharedWork(**document["shared"]),
            "loads": tuple(map(_reuse, document["loads"])),
            "stores": tuple(map(_reuse, document["stores"])),
        }
    )


def _reuse(document: Mapping[str, Any]) -> Reuse:
    return Reuse(**{**document, "missed": tuple(document["missed"])})
