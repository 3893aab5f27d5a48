"""What a judged kernel is worth to the search. Pure."""

from __future__ import annotations

from foundry.judge.verdict import Evaluation, Status

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


def reward(evaluation: Evaluation) -> float | None:
    """What a kernel earns in the tree: the lower bound of its speedup; None for a failure.

    A kernel that was proven but not timed earns 0: it is a parent, and the least of them.
    """
    if not evaluation.status.passed:
        return None
    return evaluation.score if evaluation.score is not None else 0.0
