"""How near a timed kernel comes to what its device can do. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from foundry.harness.measuring.jobs import Peaks
from foundry.judge.verdict import Timing

CACHE, MEMORY, ARITHMETIC = "cache bandwidth", "memory bandwidth", "arithmetic"


@dataclass(frozen=True)
class Roofline:
    """One timing under the roof of its device: the op's own bytes and FLOPs over the time."""

    workload: str
    flops_per_byte: float
    achieved_gb_s: float
    achieved_gflop_s: float
    roof: str
    """What bounds a kernel of this intensity here: `cache bandwidth`, `memory bandwidth` or
    `arithmetic`."""
    roof_gb_s: float
    roof_gflop_s: float
    share_of_roof: float
    """Time the roof allows over the time taken. Above 1 the peaks were measured too low: copies do
    not show the first cache, nor a product in float32 narrower types."""

    def document(self) -> dict[str, Any]:
        """As JSON values."""
        return dict(vars(self))


def roofline(timing: Timing, peaks: Peaks, held_bytes: int = 0) -> Roofline | None:
    """None where time, traffic or peaks are unknown.

    Args:
        timing: What was measured.
        peaks: Of the device.
        held_bytes: What calls went through before they came to the same again: what holds all of
            it is what each was read from. 0: no more than one call moves.
    """
    held = max(held_bytes, timing.bytes_moved)
    cached = any(held <= cache.size for cache in peaks.caches)
    bandwidth = peaks.gb_s(held)
    known = (bandwidth, peaks.gflops, timing.kernel_us, timing.bytes_moved)
    if not all(value > 0 and math.isfinite(value) for value in known):
        return None
    by_traffic_us = timing.bytes_moved / bandwidth / 1e3
    by_arithmetic_us = timing.flops / peaks.gflops / 1e3
    intensity = timing.flops / timing.bytes_moved
    by_traffic = CACHE if cached else MEMORY
    return Roofline(
        workload=timing.workload,
        flops_per_byte=intensity,
        achieved_gb_s=timing.bytes_moved / timing.kernel_us / 1e3,
        achieved_gflop_s=timing.flops / timing.kernel_us / 1e3,
        roof=by_traffic if by_traffic_us >= by_arithmetic_us else ARITHMETIC,
        roof_gb_s=bandwidth,
        roof_gflop_s=min(peaks.gflops, intensity * bandwidth),
        share_of_roof=max(by_traffic_us, by_arithmetic_us) / timing.kernel_us,
    )
