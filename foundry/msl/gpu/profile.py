"""What a program does, in the units that a GPU is made of. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from foundry.msl.counters.model import LaunchCount
from foundry.msl.gpu.machine import Machine

DEPTHS = (1, 2, 4, 8, 16, 32, 64)
"""Lines of the caches whose misses are counted."""
NEIGHBOURS = 8
"""Threadgroups side by side, at most, whose lines are put together."""


@dataclass(frozen=True)
class Reuse:
    """How the lines of 128 bytes of one array are used again, in loads or in stores."""

    touches: float
    """Lines, summed over instructions of SIMD-groups, of the whole launch."""
    missed: tuple[float, ...]
    """The share of them that a SIMD-group's own cache of `DEPTHS` lines does not hold."""
    in_step: float
    """The share that remain when the SIMD-groups of a threadgroup go in step and share."""
    of_threadgroup: float
    """Distinct lines of a threadgroup."""
    more: float
    """Distinct lines that each further neighbour adds."""
    size_lines: float
    """Of the array."""


@dataclass(frozen=True)
class LaunchProfile:
    """One launch, for all its threads."""

    machine: Machine
    threadgroups: int
    threads: int
    """Of a threadgroup."""
    simdgroups: int
    threadgroup_bytes: int
    work: Mapping[str, float]
    """Instructions by kind, summed over SIMD-groups."""
    steps: float
    """Instructions of one SIMD-group."""
    longest: float
    """Instructions of the threadgroup that has most, over the mean."""
    loads: tuple[Reuse, ...]
    stores: tuple[Reuse, ...]
    count: LaunchCount


@dataclass(frozen=True)
class GpuProfile:
    """A program's launches in order."""

    launches: tuple[LaunchProfile, ...]
