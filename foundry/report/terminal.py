"""The live display on a terminal: a table redrawn in place, the latest events below it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from foundry.report.format import interval, latency, statuses
from foundry.report.progress import Progress, TaskProgress, totals

_EVENTS_SHOWN = 5
_WIDE = 110
_NARROW = 72
_REFRESH_PER_S = 4


class TerminalDisplay:
    """Redraws itself in place; stays on the screen only when it ends by an exception."""

    def __init__(self, title: str, stream: TextIO, clock: Callable[[], float]) -> None:
        self._title = title
        self._clock = clock
        self._start_s = clock()
        self._progress = Progress((), 0)
        self._events: deque[str] = deque(maxlen=_EVENTS_SHOWN)
        self._console = Console(file=stream, highlight=False)
        self._live = Live(
            console=self._console,
            get_renderable=self.render,
            refresh_per_second=_REFRESH_PER_S,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def update(self, progress: Progress) -> None:
        """Show where things stand."""
        self._progress = progress

    def event(self, line: str) -> None:
        """Show what just happened."""
        self._events.append(line)

    def render(self) -> RenderableType:
        """The whole picture at this moment."""
        elapsed_s = self._clock() - self._start_s
        parts: list[RenderableType] = []
        if self._progress.tasks:
            parts.append(_tasks(self._progress.tasks, self._console.width))
        parts.append(Text(totals(self._progress, elapsed_s), style="cyan", no_wrap=True))
        # The screen is redrawn by a thread of its own, while the caller's goes on.
        return Group(*parts, *(self._event_text(line) for line in tuple(self._events)))

    def _event_text(self, line: str) -> Text:
        text = Text(line, style="dim", no_wrap=True)
        # Room for the `^C` that a terminal echoes: one wrapped line would upset the redrawing.
        text.truncate(max(1, self._console.width - 4), overflow="ellipsis")
        return text

    def __enter__(self) -> TerminalDisplay:
        self._start_s = self._clock()
        self._console.print(Text(self._title, style="bold"))
        self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._events.clear()
        self._live.transient = error is None
        self._live.__exit__(kind, error, trace)


def _tasks(tasks: tuple[TaskProgress, ...], width: int) -> Table:
    """The table in three widths: figures are never cut, so narrow terminals get fewer columns."""
    wide, narrow = width >= _WIDE, width < _NARROW
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("op", no_wrap=True, overflow="ellipsis", style="bold")
    if wide:
        table.add_column("workload", no_wrap=True, overflow="ellipsis", max_width=32)
    if not narrow:
        table.add_column("base us", justify="right", no_wrap=True, min_width=7)
    table.add_column("best us", justify="right", no_wrap=True, min_width=7)
    table.add_column("speedup", no_wrap=True, min_width=18)
    if wide:
        table.add_column("statuses", no_wrap=True, overflow="ellipsis")
    else:
        table.add_column("ok/bad", justify="right", no_wrap=True, min_width=6)
    if not narrow:
        table.add_column("", no_wrap=True, overflow="ellipsis", style="dim")
    for task in tasks:
        measured = interval(task.speedup, task.speedup_low, task.speedup_high)
        table.add_row(
            task.name,
            *([task.workload] if wide else []),
            *([] if narrow else [latency(task.baseline_us)]),
            latency(task.best_us),
            Text(measured, style="green" if (task.speedup_low or 0) > 1 else ""),
            statuses(task.statuses) if wide else _ok_bad(task),
            *([] if narrow else [task.state]),
        )
    return table


def _ok_bad(task: TaskProgress) -> str:
    good = sum(task.statuses.get(status, 0) for status in ("faster", "correct"))
    return f"{good}/{task.evaluations - good}"
