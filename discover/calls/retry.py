"""How long to wait before the same request is sent again. Pure: chance is handed in."""

from __future__ import annotations

from dataclasses import dataclass

from discover.protocol import Failure


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential back-off that obeys a server's Retry-After up to a cap."""

    attempts: int = 5
    """Sends of one request, the first included."""
    first_s: float = 1.0
    factor: float = 2.0
    longest_s: float = 60.0
    """Cap of the back-off."""
    longest_retry_after_s: float = 300.0
    """Cap of what a server may ask for; some ask for days."""


def delay_s(policy: RetryPolicy, failure: Failure, attempt: int, chance: float) -> float | None:
    """Seconds until the next attempt, or None to give up.

    Args:
        policy: Limits.
        failure: What the latest attempt gave.
        attempt: Number of attempts so far, from 1.
        chance: From 0 to 1; shortens the back-off by up to a quarter, so that callers spread.
    """
    if not failure.kind.retryable or attempt >= policy.attempts:
        return None
    if failure.retry_after_s is not None:
        return min(failure.retry_after_s, policy.longest_retry_after_s)
    step = policy.first_s * policy.factor ** (attempt - 1)
    return float(min(step, policy.longest_s) * (1 - 0.25 * chance))
