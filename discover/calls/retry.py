"""How long a proposer is left alone after a failure. Pure: chance is handed in."""

from __future__ import annotations

from dataclasses import dataclass

from discover.protocol import Failure


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential back-off up to an hour, that obeys a server's Retry-After up to a cap."""

    attempts: int = 5
    """Sends of a request that the server takes and does not answer, the first included; one that
    the server does not even take is sent again for as long as the search lasts."""
    first_s: float = 1.0
    factor: float = 2.0
    longest_s: float = 3600.0
    """Cap of the back-off."""
    longest_retry_after_s: float = 3600.0
    """Cap of what a server may ask for; some ask for days."""
    least_s: float = 60.0
    """Up to here the back-off holds against a server that asks for less, such as 0, again and
    again."""


def pause_s(policy: RetryPolicy, failure: Failure, setbacks: int, chance: float) -> float:
    """Seconds until a proposer is asked again.

    Args:
        policy: Limits.
        failure: What the latest attempt gave.
        setbacks: Failures in a row, from 1.
        chance: From 0 to 1; shortens the back-off by up to a quarter, so that callers spread.
    """
    # 2 to the power of a night's failures is no float.
    step = policy.first_s * policy.factor ** min(setbacks - 1, 60)
    own_s = min(step, policy.longest_s) * (1 - 0.25 * chance)
    if failure.retry_after_s is None:
        return float(own_s)
    asked_s = min(failure.retry_after_s, policy.longest_retry_after_s)
    return float(max(asked_s, min(own_s, policy.least_s)))
