"""A search on the display of `foundry.report`: one row per op, one line per event."""

from __future__ import annotations

from dataclasses import replace

from discover.budget.limits import Limits, Spend
from discover.history.reasons import reason
from discover.search.watch import State
from foundry.cli.output import note
from foundry.judge.verdict import Evaluation
from foundry.report.display import Display
from foundry.report.figures import figures
from foundry.report.format import interval, latency
from foundry.report.progress import Progress, TaskProgress


class SearchDisplay:
    """Shows searches that run one after another."""

    def __init__(self, display: Display, names: tuple[str, ...], limits: Limits) -> None:
        """Show the searches of these names.

        Args:
            display: Where.
            names: Of all searches to come, in order.
            limits: Of all of them together.
        """
        self._display = display
        self._tasks = {name: TaskProgress(name, state="queued") for name in names}
        self._done: dict[str, int] = {}
        self._earlier: dict[str, int] = {}
        self._earlier_s: dict[str, float] = {}
        self._spent: dict[str, Spend] = {}
        self._at_most: dict[str, Spend] = {}
        self._away: tuple[str, ...] = ()
        self._limits = limits

    def changed(self, state: State) -> None:
        """Redraw the row of a search."""
        self._done[state.name] = state.evaluations
        self._earlier[state.name] = state.earlier
        self._earlier_s[state.name] = state.earlier_s
        self._spent[state.name] = state.spent
        self._at_most[state.name] = state.at_most
        self._away = state.away
        self._tasks[state.name] = _task(state)
        self._update()

    def judged(self, name: str, label: str, evaluation: Evaluation) -> None:
        """One line for one evaluation."""
        found = figures(evaluation)
        if found is None:
            outcome = f"{evaluation.status} {reason(evaluation)}".rstrip()
        else:
            measured = interval(found.speedup, found.speedup_low, found.speedup_high)
            outcome = f"{evaluation.status} {latency(found.kernel_us)} us {measured}"
        self._display.event(f"{name}: {outcome} · {label}")

    def event(self, line: str) -> None:
        """One line."""
        self._display.event(line)

    def done(self, name: str) -> None:
        """Mark a search as ended."""
        self._tasks[name] = replace(self._tasks[name], state="done")
        self._update()

    def _update(self) -> None:
        spent = sum(self._spent.values(), Spend())
        at_most = sum(self._at_most.values(), Spend())
        done = sum(self._done.values())
        self._display.update(
            Progress(
                tasks=tuple(self._tasks.values()),
                done=done,
                budget=self._limits.evaluations,
                fresh=done - sum(self._earlier.values()),
                tokens=spent.tokens or None,
                cost_usd=spent.usd if at_most.usd else None,
                cost_at_most_usd=at_most.usd or None,
                time_budget_s=self._seconds_here(),
                notes=tuple(f"away: {who}" for who in self._away),
            )
        )

    def _seconds_here(self) -> float | None:
        """What this session may take: a limit of time counts over all of them."""
        if self._limits.seconds is None:
            return None
        return max(0.0, self._limits.seconds - sum(self._earlier_s.values()))


def _task(state: State) -> TaskProgress:
    found = figures(state.best) if state.best else None
    return TaskProgress(
        name=state.name,
        workload=found.workload if found else "",
        baseline_us=found.baseline_us if found else None,
        best_us=found.kernel_us if found else None,
        speedup=found.speedup if found else None,
        speedup_low=found.speedup_low if found else None,
        speedup_high=found.speedup_high if found else None,
        statuses=dict(state.statuses),
        state=f"depth {state.depth}",
    )


class Lines:
    """A line on stderr for every verdict: for commands that judge a few kernels and end."""

    def changed(self, state: State) -> None:
        """Nothing: there is no table."""

    def judged(self, name: str, label: str, evaluation: Evaluation) -> None:
        """One line for one evaluation."""
        note(f"{name}: {evaluation.status} · {label}: {reason(evaluation)}")

    def event(self, line: str) -> None:
        """One line."""
        note(line)
