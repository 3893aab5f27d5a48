"""What one answer earned. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from foundry.judge.verdict import Evaluation, Status
from foundry.prompts import feedback
from foundry.reward.options import Shares


@dataclass(frozen=True)
class Earned:
    """The reward of an answer, and why it is no more."""

    value: float
    """From 0 to 1."""
    reason: str = ""
    """Why it is less than that of a right kernel; fit for the model itself to read."""
    status: str = Status.INVALID.value
    """What the judge said; `invalid` where there was no kernel."""
    kernel_hash: str | None = None
    speedup: float | None = None
    """Lower end of the 95 % interval against MLX, or what the chip model predicts."""

    @property
    def is_right(self) -> bool:
        """Whether the kernel was proven."""
        return Status(self.status).passed


def nothing(reason: str) -> Earned:
    """An answer that earns nothing."""
    return Earned(0.0, reason)


def score(evaluation: Evaluation, shares: Shares, speedup: float | None, *, timed: bool) -> Earned:
    """What a judged kernel earned.

    Args:
        evaluation: The judge's.
        shares: What counts how much.
        speedup: How many times as fast it is, where that is known.
        timed: Whether speed counts; where it does and is not known, it earns nothing for it.
    """
    status = evaluation.status
    reason = "\n".join(feedback.reasons(evaluation))
    value = _value(status, shares)
    if status.passed:
        value += shares.speed * (_saturating(speedup) if timed else 1.0)
    return Earned(value, reason, status.value, evaluation.kernel_hash, speedup)


def _value(status: Status, shares: Shares) -> float:
    match status:
        case Status.CORRECT | Status.FASTER:
            return shares.right
        case Status.WRONG_RESULT:
            return shares.clean
        case Status.BUILD_ERROR | Status.SANITIZER_ERROR:
            return shares.parsed
    # A cheat, a hang and a crash earn no more than no kernel at all.
    return 0.0


def _saturating(speedup: float | None) -> float:
    return speedup / (1.0 + speedup) if speedup is not None and speedup > 0 else 0.0
