"""A proposer that does not answer: since when, and why. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from discover.calls.retry import RetryPolicy, pause_s
from discover.protocol import Failure


@dataclass
class Absence:
    """Whether a proposer is away, and how long it was in all."""

    since_s: float | None = None
    """Clock reading of the first failure in a row; None while it answers."""
    why: str = ""
    """The latest failure."""
    setbacks: int = 0
    """Failures in a row; those of calls that were under way together are one."""
    _before_s: float = 0.0
    _latest_s: float = 0.0

    def setback(
        self, policy: RetryPolicy, failure: Failure, sent_s: float, now_s: float, chance: float
    ) -> float:
        """Note a failure; the pause before the next call.

        Calls that were under way together fail together: they are one setback, not many.
        """
        self.why = failure.message
        if self.since_s is None:
            self.since_s, self.setbacks = now_s, 0
        if self.setbacks == 0 or sent_s >= self._latest_s:
            self.setbacks += 1
            self._latest_s = now_s
        return pause_s(policy, failure, self.setbacks, chance)

    def over(self, now_s: float) -> None:
        """It answered."""
        self._before_s = self.total_s(now_s)
        self.since_s = None

    def total_s(self, now_s: float) -> float:
        """How long it was away in all, until now."""
        return self._before_s + (now_s - self.since_s if self.since_s is not None else 0.0)
