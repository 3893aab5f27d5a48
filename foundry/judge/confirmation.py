"""Is a speedup real, or the best of noisy draws? A second measurement, corrected for the picks.

A kernel is `faster` when two measurements on different inputs say so: the first picked it, so only
the second counts, with its interval widened for the number of kernels that had the same chance
(Bonferroni over the kernels timed so far for the op and dtype).
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Sequence

from foundry.judge.statistics import speedup
from foundry.judge.verdict import Evaluation, Timing

_ALPHA = 0.05


class Looks:
    """How many kernels had a chance to look fastest, by op and dtype."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}
        self._guard = threading.Lock()

    def add(self, op: str, dtype: str) -> int:
        """Count one more kernel, and give the number so far."""
        with self._guard:
            count = self._counts.get((op, dtype), 0) + 1
            self._counts[op, dtype] = count
        return count


def fresh_seed(seed: int) -> int:
    """The seed of the inputs on which a pick is confirmed."""
    digest = hashlib.sha256(f"confirm {seed}".encode()).digest()
    return int.from_bytes(digest[:6], "big")


def is_faster(timings: Sequence[Timing], looks: int, drift: float = 1.0) -> bool:
    """Whether second measurements, corrected for `looks` picks, are above 1 as a geometric mean.

    Where the device drifted while it was measured, above the drift instead.
    """
    if not timings:
        return False
    level = 1.0 - _ALPHA / max(looks, 1)
    lows = [speedup(t.samples_baseline_us, t.samples_kernel_us, level=level).low for t in timings]
    return math.fsum(math.log(low) for low in lows) / len(lows) > math.log(drift)


def shown_to_win(evaluation: Evaluation) -> tuple[str, ...]:
    """Ids of the workloads on which a confirmed kernel beats the baseline: where it may be used."""
    if not evaluation.status.passed:
        return ()
    return tuple(t.workload for t in evaluation.timings if t.speedup_low > 1.0)
