"""The best few kernels, measured once more at the end: the best of many noisy draws is mostly luck.

Evaluations, and where there is a limit of time also seconds, are set aside for it from the start.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from discover.budget.limits import Budget, Limits
from discover.drafts.draft import label
from discover.history.journal import Journal
from discover.search.kernels import RIVALS, Kernels
from discover.search.pace import JudgingPace
from discover.search.task import Evaluate, Task
from discover.search.watch import Watch
from discover.selection.tree import Node
from foundry.judge.options import Rivals
from foundry.kernel import parse
from foundry.store.records import Origin


def set_aside(finalists: int, evaluations: int | None) -> int:
    """Evaluations that are kept for the end: finalists and rivals, a fifth of a budget at most.

    Args:
        finalists: As many as shall be measured again.
        evaluations: The budget; None where there is none.
    """
    wanted = finalists and finalists + RIVALS
    return wanted if evaluations is None else min(wanted, evaluations // 5)


@dataclass
class SecondLooks:
    """The second looks of one search."""

    task: Task
    kernels: Kernels
    journal: Journal
    budget: Budget
    evaluate: Evaluate
    pace: JudgingPace
    watch: Watch
    clock: Callable[[], float]
    stopping: Callable[[], bool]
    """Whether somebody wants the search to leave."""
    count: int = field(default=0, init=False)
    """Evaluations that are set aside."""

    def allow(self, limits: Limits) -> None:
        """Set aside what they take of a budget."""
        self.count = set_aside(self.task.settings.confirm, limits.evaluations)

    def kept_s(self) -> float:
        """Seconds that they will take; set aside, so that they fit."""
        limit_s = self.budget.limits.seconds
        return 0.0 if limit_s is None else self.pace.looks_s(self.count, limit_s)

    def take(self) -> None:
        """Measure the best again; what is found replaces what was drawn.

        Raises:
            KeyboardInterrupt: Somebody wants to leave; what was measured is kept.
        """
        chosen = self.kernels.finalists(min(self.task.settings.confirm, self.count))
        # All meet the same inputs, which nobody can have seen before.
        seed = secrets.randbits(48)
        for node in chosen:
            if not self.kernels.is_confirmed(node):
                self._look(node, seed, len(chosen))
        # Near equals meet once more, in the other order: what the machine did meanwhile cancels.
        for node in reversed(self.kernels.rivals(chosen)):
            self._look(node, seed, len(chosen))

    def _look(self, node: Node, seed: int, finalists: int) -> None:
        if self.budget.exhausted(self.clock()):
            return
        if self.stopping():
            raise KeyboardInterrupt
        self.budget.evaluations += 1
        rivals = Rivals(best=0.0, finalists=finalists)
        evaluation = self.evaluate(self.kernels[node].text, seed, rivals)
        found = self.kernels.confirmed(node, evaluation)
        elapsed_s = self.budget.elapsed_s(self.clock())
        self.journal.confirmed(node, found, parse(found.text), evaluation, elapsed_s)
        origin = Origin(**found.detail["origin"])
        self.watch.judged(self.task.name, f"confirmed: {label(origin)}", evaluation)
