"""Can these times be true? Pure checks on samples, on the judge's own clock and on physics."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from foundry.harness.measuring.jobs import Clocked, Peaks, Samples
from ops.spec import Op, Workload, bytes_moved, flops

_DRIFT = 1.15
"""Change of a side from its first to its last third that asks for another measurement."""
_SOLO_US = 3000.0
_MOST_SOLO_CALLS = 100_000
_HONEST_SHARE = 0.7
"""Share of the judge's time that the worker's must fill; the rest is spent on messages."""
_CLOCK_SLACK_S = 0.001
_CACHED_MARGIN = 4.0
_MEMORY_MARGIN = 3.0
_ARITHMETIC_MARGIN = 4.0
"""How far a kernel may lie above the peaks that were measured. Copies do not show the first cache,
and a matrix product in float32 does not show narrower types."""
_SLOWED = 3.0
_SLOWED_US = 30.0


def floor_us(op: Op, workload: Workload, peaks: Peaks) -> float:
    """Latency below which no honest kernel can be on a device with these peaks."""
    moved = bytes_moved(op, workload)
    cached = moved <= peaks.cache_bytes
    margin = _CACHED_MARGIN if cached else _MEMORY_MARGIN
    rate = margin * (peaks.cached_gb_s if cached else peaks.memory_gb_s)
    return max(moved / rate, flops(op, workload) / (_ARITHMETIC_MARGIN * peaks.gflops)) / 1e3


def is_stable(samples: Samples) -> bool:
    """Whether neither side drifted while it was measured, as throttling makes it."""
    return drift_of(samples) <= _DRIFT


def drift_of(samples: Samples) -> float:
    """The larger drift of the two sides."""
    return max(drift(samples.baseline_us), drift(samples.kernel_us))


def drift(times: Sequence[float]) -> float:
    """Ratio of the medians of the last and the first third, at least 1."""
    third = len(times) // 3
    if third < 2:
        return 1.0
    first, last = statistics.median(times[:third]), statistics.median(times[-third:])
    if min(first, last) <= 0:
        return math.inf
    return max(last / first, first / last)


def solo_calls(kernel_us: float) -> int:
    """Calls whose claimed times fill what the judge's clock can tell."""
    if not kernel_us > 0:
        return _MOST_SOLO_CALLS
    return max(1, min(_MOST_SOLO_CALLS, math.ceil(_SOLO_US / kernel_us)))


def contradicts(clocked: Clocked) -> bool:
    """Whether calls took far longer by the judge's clock than by the worker's."""
    return clocked.claimed_s < _HONEST_SHARE * clocked.wall_s - _CLOCK_SLACK_S


def undisturbed_us(times: Sequence[float]) -> float:
    """Latency in the calm moments of a measurement: the lower quartile."""
    return sorted(times)[len(times) // 4]


def is_slowed(baseline_us: float, trusted_us: float) -> bool:
    """Whether the baseline ran far slower beside the kernel than it does alone."""
    return baseline_us > _SLOWED * trusted_us and baseline_us - trusted_us > _SLOWED_US
