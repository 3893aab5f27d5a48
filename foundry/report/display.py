"""Live progress of a run or a search, on stderr.

1. The caller opens a display for a title and hands it a `Progress` after every step, and an
   event line for what just happened.
2. On a terminal that is a live table redrawn in place (`terminal.py`, rich); elsewhere it is one
   plain line per event, so that logs stay readable. `NO_COLOR` takes the colour away.

`Progress` is plain data: the display computes rate and time left, and never touches a database.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, TextIO

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
    tokens: int | None = None


class Display(Protocol):
    """Where progress goes."""

    def update(self, progress: Progress) -> None:
        """Show where things stand."""

    def event(self, line: str) -> None:
        """Show what just happened: one line without a line break."""


class PlainDisplay:
    """One line per event, as logs like it."""

    def __init__(self, title: str, stream: TextIO) -> None:
        self._stream = stream
        self._progress: Progress | None = None
        self._say(title)

    def update(self, progress: Progress) -> None:
        """Show where things stand."""
        self._progress = progress

    def event(self, line: str) -> None:
        """Show what just happened."""
        self._say(f"{_counter(self._progress)}{line}")

    def _say(self, line: str) -> None:
        print(line, file=self._stream, flush=True)

    def __enter__(self) -> PlainDisplay:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


def open_display(
    title: str,
    *,
    stream: TextIO | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> AbstractContextManager[Display]:
    """A display for as long as the `with` block runs; what it holds depends on the stream.

    Args:
        title: First line: what runs, where, with which budget.
        stream: Default stderr.
        clock: Seconds, monotonic.
    """
    target = stream if stream is not None else sys.stderr
    if not is_interactive(target):
        return PlainDisplay(title, target)
    from foundry.report.terminal import TerminalDisplay

    return TerminalDisplay(title, target, clock)


def is_interactive(stream: TextIO) -> bool:
    """Whether lines of this stream can be redrawn."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


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
        parts.append(f"${progress.cost_usd:.2f}")
    return " · ".join(parts)


def _left_s(progress: Progress, elapsed_s: float, rate: float) -> float | None:
    """The sooner of both budgets, in seconds from now."""
    ends = []
    if progress.budget and rate:
        ends.append(max(0.0, (progress.budget - progress.done) / rate))
    if progress.time_budget_s is not None:
        ends.append(max(0.0, progress.time_budget_s - elapsed_s))
    return min(ends) if ends else None


def _counter(progress: Progress | None) -> str:
    if progress is None:
        return ""
    if progress.budget:
        width = len(str(progress.budget))
        return f"[{progress.done:>{width}}/{progress.budget}] "
    return f"[{progress.done}] "
