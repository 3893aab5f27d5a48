"""The constants of the chip model: what no specification says, one set per family of chips."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Constants:
    """Non-negative numbers; each has a physical meaning, and the value here is what sources say."""

    issue: float = 1.0
    """Cycles of a scheduler for an instruction, over the throughput measured on its own."""
    sector: float = 1.0
    """Cycles of a core's cache for each 32 bytes that an instruction touches."""
    bank: float = 1.0
    """Cycles of threadgroup memory for each pass over its banks."""
    near: float = 1.0
    """Time in the second-level cache, over its bandwidth."""
    far: float = 1.0
    """Time in memory and the system's cache, over their bandwidth."""
    wait: float = 1.0
    """Latency that a block's loads expose, over what is published."""
    spill: float = 1.0
    """Lines of memory for each access to what a thread keeps there."""
