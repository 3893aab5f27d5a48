"""Is a speedup real, or the best of noisy draws? A second measurement, corrected for the picks.

A kernel is `faster` when two measurements on different inputs say so: the first picked it, so only
the second counts, with its interval widened for the number of kernels that had the same chance
(Bonferroni over the kernels timed so far for the op and dtype).
"""

from __future__ import annotations

import hashlib
import math
import secrets
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from foundry.judge.time.statistics import speedup
from foundry.judge.verdict import Evaluation, Status, Timing

if TYPE_CHECKING:
    from foundry.judge.judge import Judge
    from foundry.kernel import Kernel
    from ops.spec import Op

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

    def expect(self, op: str, dtype: str, count: int) -> None:
        """Correct every pick from now on for at least `count` of them."""
        with self._guard:
            self._counts[op, dtype] = max(count, self._counts.get((op, dtype), 0))


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


def confirm(judge: Judge, kernels: Sequence[Kernel | str], op: Op, dtype: str) -> list[Evaluation]:
    """Judge the best kernels of a search once more, all on one fresh seed.

    Args:
        judge: Its options decide the workloads; use the bench cases the kernels are meant for.
        kernels: The best k, in any order; k is what their intervals are corrected for.
        op: The op.
        dtype: Element type.

    Returns:
        One evaluation per kernel, the best first: what passed comes before what did not, then the
        lower bound decides. Only those with status `faster` are confirmed.

    Raises:
        EnvironmentUnusable: As `Judge.evaluate`.
    """
    seed = secrets.randbits(48)
    judge.expect_looks(op.name, dtype, len(kernels))
    found = [judge.evaluate(kernel, op, dtype, seed) for kernel in kernels]
    return sorted(found, key=_merit, reverse=True)


def _merit(evaluation: Evaluation) -> tuple[bool, bool, float]:
    status = evaluation.status
    return status is Status.FASTER, status.passed, evaluation.score or 0.0
