"""How far a run or a search has come, as plain data, and as one line of text. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from foundry.report.format import duration


@dataclass(frozen=True)
class TaskProgress:
    """How far one op (in one dtype) has come."""

    name: str
    workload: str = ""
    baseline_us: float | None = None
    best_us: float | None = None
    speedup: float | None = None
    speedup_low: float | None = None
    speedup_high: float | None = None
    statuses: Mapping[str, int] = field(default_factory=dict)
    """Evaluations so far, by status."""
    state: str = "running"
    """`queued`, `running`, `done`, or a word of the caller's, such as `depth 3`."""

    @property
    def evaluations(self) -> int:
        """Evaluations so far."""
        return sum(self.statuses.values())


@dataclass(frozen=True)
class Progress:
    """How far everything has come."""

    tasks: tuple[TaskProgress, ...]
    done: int
    """Steps finished, those found in the database included."""
    budget: int | None = None
    """Steps in all, when they are counted."""
    fresh: int = 0
    """Steps done now, not found in the database; the rate counts these."""
    time_budget_s: float | None = None
    cost_usd: float | None = None
    cost_at_most_usd: float | None = None
    """With what calls without an answer may have cost."""
    tokens: int | None = None
    notes: tuple[str, ...] = ()
    """What else is true now, such as who is away."""


def totals(progress: Progress, elapsed_s: float) -> str:
    """One line: steps, rate, time, money: `12/40 · 6.1/s · 0:02, 5s left · $0.03`."""
    parts = [f"{progress.done:,}" + (f"/{progress.budget:,}" if progress.budget else "")]
    rate = progress.fresh / elapsed_s if elapsed_s > 0 else 0.0
    if rate:
        parts.append(f"{rate:.1f}/s" if rate >= 1 else f"{rate * 60:.1f}/min")
    left = _left_s(progress, elapsed_s, rate)
    parts.append(duration(elapsed_s) + (f", {duration(left)} left" if left is not None else ""))
    if progress.tokens is not None:
        parts.append(f"{progress.tokens:,} tokens")
    if progress.cost_usd is not None:
        parts.append(f"${progress.cost_usd:.2f}" + _unsure(progress))
    parts += progress.notes
    return " · ".join(parts)


def _unsure(progress: Progress) -> str:
    """At most, where that is more than what is known to be spent."""
    most = progress.cost_at_most_usd or 0.0
    return f" spent, at most ${most:.2f}" if most > (progress.cost_usd or 0.0) else ""


def _left_s(progress: Progress, elapsed_s: float, rate: float) -> float | None:
    """The sooner of both budgets, in seconds from now."""
    ends = []
    if progress.budget and rate:
        ends.append(max(0.0, (progress.budget - progress.done) / rate))
    if progress.time_budget_s is not None:
        ends.append(max(0.0, progress.time_budget_s - elapsed_s))
    return min(ends) if ends else None
