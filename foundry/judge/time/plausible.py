"""Can these times be true? Pure checks on samples and on physics."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from foundry.harness.measuring.jobs import Peaks
from foundry.judge.time.pairs import Latencies
from ops.spec import Op, bytes_moved, flops
from ops.workload import Workload

_DRIFT = 1.15
"""Change of a side from its first to its last third that asks for another measurement."""
_BANDWIDTH_MARGIN = 2.5
_ARITHMETIC_MARGIN = 4.0
"""How far a kernel may lie above the peaks that were measured. Sums do not show all that a cache
does for reads alone, nor a matrix product in float32 what it does in narrower types."""
_DISAGREEMENT, _DISAGREEMENT_OF_LONG, _LONG_US = 1.2, 3.0, 100.0
"""A short call is timed only where both readings agree: what differs is how MLX's threads hand it
over. A longer one takes longer beside a kernel, which empties caches between two of its calls; the
lesser reading counts, and that is against the kernel."""
_SHRINKS = 1.5
_SHRINKS_US = 10.0
_TELLS = 3.0


def floor_us(op: Op, workload: Workload, peaks: Peaks, held: int) -> float:
    """Time below which no honest kernel can be on a device with these peaks.

    Args:
        op: The op.
        workload: What is timed.
        peaks: Of the device.
        held: Bytes that calls go through before they come to the same again. What holds all of them
            is what each is read from.
    """
    by_traffic = bytes_moved(op, workload) / (_BANDWIDTH_MARGIN * peaks.gb_s(held))
    return max(by_traffic, flops(op, workload) / (_ARITHMETIC_MARGIN * peaks.gflops)) / 1e3


def is_stable(found: Latencies) -> bool:
    """Whether neither side drifted while it was measured, as throttling makes it."""
    return drift_of(found) <= _DRIFT


def drift_of(found: Latencies) -> float:
    """The larger drift of the two sides."""
    return max(drift(found.baseline_us), drift(found.kernel_us))


def drift(times: Sequence[float]) -> float:
    """Ratio of the medians of the last and the first third, at least 1."""
    third = len(times) // 3
    if third < 2:
        return 1.0
    first, last = statistics.median(times[:third]), statistics.median(times[-third:])
    if min(first, last) <= 0:
        return math.inf
    return max(last / first, first / last)


def agrees(chosen_us: float, alone_us: float, beside_us: float) -> bool:
    """Whether a baseline takes the same time beside the kernel as it does alone.

    Args:
        chosen_us: Alone, when it was chosen, which may be minutes ago.
        alone_us: Alone, a moment before or after.
        beside_us: Beside the kernel.
    """
    is_short = min(chosen_us, alone_us, beside_us) < _LONG_US
    most = _DISAGREEMENT if is_short else _DISAGREEMENT_OF_LONG
    return max(_apart(alone_us, beside_us), _apart(chosen_us, beside_us)) <= most


def _apart(one_us: float, other_us: float) -> float:
    least_us, most_us = sorted((one_us, other_us))
    return most_us / least_us


def unseen_factor(unseen_us: float, timed_us: float) -> float:
    """How much slower a kernel is on inputs that it never met; 1 where that is within the noise."""
    if unseen_us <= _SHRINKS * timed_us + _SHRINKS_US:
        return 1.0
    return unseen_us / timed_us


def remembers(factor: float) -> bool:
    """Whether that is so much slower that the kernel must know what it met before."""
    return factor > _TELLS


def is_far_slower(one_us: float, other_us: float) -> bool:
    """Whether a kernel takes so much longer here than there that it must know what it met."""
    return remembers(unseen_factor(one_us, other_us))
