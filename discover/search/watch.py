"""What a search tells while it runs; who shows it is someone else's business."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from discover.budget.limits import Limits, Spend
from foundry.judge.verdict import Evaluation


@dataclass(frozen=True)
class State:
    """How far a search has come."""

    name: str
    """`softmax float32`."""
    evaluations: int
    limits: Limits
    spent: Spend
    at_most: Spend
    """With what calls without an answer may have cost."""
    elapsed_s: float
    statuses: Mapping[str, int]
    best: Evaluation | None
    depth: int
    """Expansions from a root to the deepest kernel."""
    earlier: int = 0
    """Evaluations of earlier sessions."""
    earlier_s: float = 0.0
    """What of `elapsed_s` earlier sessions took."""
    away: tuple[str, ...] = ()
    """Proposers that do not answer now, and why."""


class Watch(Protocol):
    """Whoever is told."""

    def changed(self, state: State) -> None:
        """Things stand differently now."""

    def judged(self, name: str, label: str, evaluation: Evaluation) -> None:
        """A kernel was judged; `label` says where it came from."""

    def event(self, line: str) -> None:
        """Something else happened, in one line."""


class Silent:
    """Tells nobody."""

    def changed(self, state: State) -> None:
        """Nothing."""

    def judged(self, name: str, label: str, evaluation: Evaluation) -> None:
        """Nothing."""

    def event(self, line: str) -> None:
        """Nothing."""
