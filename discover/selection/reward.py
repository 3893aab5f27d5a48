"""What a judged kernel is worth to the search: its times beside those of all others. Pure.

Every evaluation times the baseline anew, and the baseline swings from one to the next; a kernel
must not rise because its baseline had a slow moment. So all kernels that one session measured on
common inputs are set against one common baseline: that of the first. Whatever another session
measured is set against the baseline that it had itself: the machine may have been another then.
"""

from __future__ import annotations

import math

from foundry.judge.verdict import Evaluation, Status, Timing
from foundry.report.predicted import worth

REPAIRABLE = frozenset(
    {
        Status.INVALID,
        Status.BUILD_ERROR,
        Status.SANITIZER_ERROR,
        Status.WRONG_RESULT,
        Status.TIMEOUT,
        Status.CRASH,
    }
)
"""Failures whose words a proposer can act on. A kernel rejected as a cheat is not repaired."""


class Yardstick:
    """The common baseline of one session, by workload: the first that was measured."""

    def __init__(self) -> None:
        self._baseline_us: dict[str, float] = {}

    def reward(self, evaluation: Evaluation, *, here: bool) -> float | None:
        """Speedup over the common baseline, geometric mean of the workloads; None for a failure.

        A kernel whose time was predicted earns its gain over the best template. One that was
        proven and neither timed nor predicted earns 0: it is a parent, and the least of them.

        Args:
            evaluation: Of a kernel.
            here: Whether this session measured it, on the inputs that all of it shares.
        """
        if not evaluation.status.passed:
            return None
        if not evaluation.timings or evaluation.score is None:
            return worth(evaluation) or 0.0
        logs = [math.log(self._speedup(timing, here=here)) for timing in evaluation.timings]
        return math.exp(sum(logs) / len(logs))

    def _speedup(self, timing: Timing, *, here: bool) -> float:
        if not here or timing.kernel_us <= 0:
            return timing.speedup
        common_us = self._baseline_us.setdefault(timing.workload, timing.baseline_us)
        return common_us / timing.kernel_us
