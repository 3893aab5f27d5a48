"""A chip in the units of the model. What nobody published takes no time, and is said. Pure."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

from foundry.chips.chip import Chip, Figure, Registers

SCHEDULERS = 4
"""Of a core, each of 32 lanes (metal-benchmarks: 128 lanes a core)."""
_REGISTER_BYTES = 208 * 1024
_THREADGROUP_BYTES = 61440
_L1_BYTES = 8192
_L2_BYTES_PER_CYCLE = 32.0
"""Of a core: 530 to 670 GB/s over the 12 cores of an M6 at 1.45 GHz."""
_L2_BYTES_PER_CORE = 64 * 1024
_SLC_BYTES = 8 * 2**20
_SLC_OVER_DRAM = 2.0
"""300 GB/s against 150 (M6)."""
_L2_NS, _SLC_NS = 100.0, 234.0
"""Latencies of an M1 Max and of an M2 Pro (ferasboulala/G13, chipsandcheese)."""
_LAUNCH_US = 1.1
ON_CORES = ("arithmetic", "cache", "threadgroup")
"""Units whose time is counted in cycles of a core."""


@dataclass(frozen=True)
class Speeds:
    """A chip; infinite is what nobody published and no relative stands in for."""

    cores: float
    clock_hz: float
    dram_bytes_s: float
    slc_bytes_s: float
    l2_bytes_s: float
    l2_bytes: float
    slc_bytes: float
    l1_bytes: float
    """Of a core."""
    register_bytes: float
    """Of a core."""
    threadgroup_bytes: float
    """Of a core."""
    registers: Registers | None
    l2_s: float
    """Of one access."""
    slc_s: float
    launch_s: float
    is_dynamic: bool
    fp16_rate: float

    @functools.cached_property
    def left_out(self) -> tuple[str, ...]:
        """Units of which nothing can be said."""
        needed = {
            **dict.fromkeys(ON_CORES, self.clock_hz),
            "l2": self.l2_bytes_s,
            "memory": self.dram_bytes_s,
            "waiting": self.cores,
        }
        return tuple(unit for unit, figure in needed.items() if math.isinf(figure))


def speeds(chip: Chip) -> Speeds | None:
    """None where neither a core's clock nor the bandwidth of memory is known."""
    cores, clock_hz = _value(chip.cores), _clock_hz(chip)
    dram = _value(chip.dram_measured_gb_s or chip.dram_gb_s, 1e9)
    if math.isinf(clock_hz) and math.isinf(dram):
        return None
    slc = _value(chip.slc_gb_s, 1e9, _SLC_OVER_DRAM * dram)
    l2 = _value(chip.l2_gb_s, 1e9, _L2_BYTES_PER_CYCLE * clock_hz * cores)
    return Speeds(
        cores,
        clock_hz,
        dram,
        slc,
        l2 if math.isinf(slc) else max(l2, slc),
        _value(chip.l2_kib, 1024, _L2_BYTES_PER_CORE * cores if math.isfinite(cores) else 0.0),
        _value(chip.slc_mib, 2**20, _SLC_BYTES),
        _value(chip.l1_bytes_per_core, 1, _L1_BYTES),
        _value(chip.register_bytes_per_core, 1, _REGISTER_BYTES),
        _value(chip.threadgroup_bytes_per_core, 1, _THREADGROUP_BYTES),
        chip.threads_by_half_registers,
        _value(chip.l2_latency_ns, 1e-9, _L2_NS * 1e-9),
        _value(chip.slc_latency_ns, 1e-9, _SLC_NS * 1e-9),
        _value(chip.dispatch_us, 1e-6, _LAUNCH_US * 1e-6),
        chip.generation >= 3,
        _value(chip.fp16_tflops) / chip.fp32_tflops.value
        if chip.fp16_tflops and chip.fp32_tflops
        else 1.0,
    )


def _value(figure: Figure | None, unit: float = 1.0, otherwise: float = math.inf) -> float:
    return otherwise if figure is None else figure.value * unit


def _clock_hz(chip: Chip) -> float:
    """Infinite where no core's speed is known, or not how many there are."""
    if chip.cores is None:
        return math.inf
    if chip.clock_mhz is not None:
        return chip.clock_mhz.value * 1e6
    if chip.fp32_tflops is None:
        return math.inf
    return chip.fp32_tflops.value * 1e12 / (2 * 32 * SCHEDULERS * chip.cores.value)
