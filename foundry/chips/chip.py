"""What is known of one Apple GPU. A figure nobody published is unknown, never guessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields


@dataclass(frozen=True)
class Figure:
    """One published number."""

    value: float
    source: str
    """Who published or measured it."""


@dataclass(frozen=True)
class Registers:
    """How many threads of a threadgroup are resident, by the registers that each needs."""

    threads: Mapping[int, int]
    """Threads by 16-bit registers a thread: each is the largest number that still has as many."""
    source: str

    def resident(self, half_registers: int) -> int | None:
        """Threads of a threadgroup that needs that many; None: more than any thread can have."""
        fitting = [count for most, count in self.threads.items() if half_registers <= most]
        return max(fitting, default=None)


@dataclass(frozen=True)
class Chip:
    """One chip; None is a figure that nobody published."""

    key: str
    """Its name on the command line: `m1-max`."""
    name: str
    generation: int
    """1 for M1. From 3 on, registers, threadgroup memory and buffers share one cache."""
    cores: Figure | None = None
    clock_mhz: Figure | None = None
    fp32_tflops: Figure | None = None
    """Two FLOPs a multiply-add."""
    fp16_tflops: Figure | None = None
    dram_gb_s: Figure | None = None
    """By specification."""
    dram_measured_gb_s: Figure | None = None
    """What a kernel reached that streams more than the caches hold."""
    slc_gb_s: Figure | None = None
    l2_gb_s: Figure | None = None
    slc_mib: Figure | None = None
    """System level cache, shared with the CPU."""
    l2_kib: Figure | None = None
    l1_bytes_per_core: Figure | None = None
    register_bytes_per_core: Figure | None = None
    threadgroup_bytes: Figure | None = None
    """Of one threadgroup, at most."""
    threadgroup_bytes_per_core: Figure | None = None
    threadgroup_latency_ns: Figure | None = None
    l2_latency_ns: Figure | None = None
    slc_latency_ns: Figure | None = None
    dram_latency_ns: Figure | None = None
    dispatch_us: Figure | None = None
    """Of a launch that waits for another in the same command buffer."""
    threads_by_half_registers: Registers | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names of the figures that nobody published."""
        return tuple(f.name for f in fields(self) if getattr(self, f.name) is None)
