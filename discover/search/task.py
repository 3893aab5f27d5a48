"""What one search is asked to do, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field

from discover.calls.retry import RetryPolicy
from discover.protocol import Attempt
from discover.search.watch import State
from discover.selection.puct import DEFAULT_EXPLORATION
from foundry.program import Device
from ops.spec import Op, Workload


@dataclass(frozen=True)
class Task:
    """What is searched, and how."""

    op: Op
    dtype: str
    device: Device
    timed: tuple[Workload, ...] = ()
    """The bench workloads that count."""
    seed: int = 0
    exploration: float = DEFAULT_EXPLORATION
    parallel: int = 2
    """Expansions in flight at once."""
    confirm: int = 3
    """Finalists that are measured again at the end, within the budget."""
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    call_limit_s: float = 600.0


@dataclass(frozen=True)
class Outcome:
    """How a search ended."""

    run_id: int
    best: Attempt | None
    start: Attempt | None
    """The first root: what the search began with."""
    state: State
    reason: str
    """Why it ended."""
    broken: str | None = None
    """A fault of every proposer that someone must mend before the search can go on."""
