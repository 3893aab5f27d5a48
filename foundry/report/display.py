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
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol, TextIO

from foundry.report.progress import Progress


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


def _counter(progress: Progress | None) -> str:
    if progress is None:
        return ""
    if progress.budget:
        width = len(str(progress.budget))
        return f"[{progress.done:>{width}}/{progress.budget}] "
    return f"[{progress.done}] "
