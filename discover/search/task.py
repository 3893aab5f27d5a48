"""What one search works on, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from discover.calls.retry import RetryPolicy
from discover.search.settings import SearchSettings
from discover.search.watch import State
from foundry.judge.options import Rivals
from foundry.judge.verdict import Evaluation
from foundry.program import Device
from foundry.prompts.assignment import Attempt
from ops.spec import Op
from ops.workload import Workload


@dataclass(frozen=True)
class Task:
    """What is searched, where, and how."""

    op: Op
    dtype: str
    device: Device
    settings: SearchSettings = field(default_factory=SearchSettings)
    timed: tuple[Workload, ...] = ()
    """The bench workloads that count."""
    parallel: int = 2
    """Expansions in flight at once."""
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    call_limit_s: float = 600.0

    @property
    def name(self) -> str:
        """`softmax float32`."""
        return f"{self.op.name} {self.dtype}"


class Evaluate(Protocol):
    """The judge as a search sees it; called from several threads."""

    def __call__(self, text: str, seed: int, rivals: Rivals) -> Evaluation:
        """Judge a kernel file on the inputs of a seed.

        Args:
            text: The kernel file.
            seed: Draws the inputs.
            rivals: Among what it is judged: behind the best, or one of the finalists.
        """


@dataclass(frozen=True)
class Outcome:
    """How a search ended."""

    run_id: int
    best: Attempt | None
    start: Attempt | None
    """The best root: what the search must beat."""
    state: State
    reason: str
    """Why it ended."""
    by_budget: bool = False
    """Whether a larger budget would let it go on."""
    away_s: Mapping[str, float] = field(default_factory=dict)
    """Seconds for which a proposer did not answer, by name and model."""
    broken: str | None = None
    """A fault of every proposer that someone must mend before the search can go on."""
    broken_everywhere: bool = False
    """Whether that fault would meet the search of another op as well."""
