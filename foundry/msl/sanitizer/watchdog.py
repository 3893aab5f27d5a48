"""Interrupts a thread that runs for too long, without a new thread for each run.

One thread looks at the clock while there is something to watch, and ends when there has been
nothing for a while.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_TICK_S = 0.02
_IDLE_TICKS = 250


class Watchdog:
    """Sends SIGVTALRM to a thread at its deadline."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._watched: dict[int, float] = {}
        self._running = False

    @contextmanager
    def watch(self, limit_s: float) -> Iterator[None]:
        """Interrupt the calling thread, again and again, while the block takes longer."""
        thread = threading.get_ident()
        with self._guard:
            self._watched[thread] = time.monotonic() + limit_s
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, daemon=True, name="sanitizer-limit").start()
        try:
            yield
        finally:
            with self._guard:
                self._watched.pop(thread, None)

    def _run(self) -> None:
        idle = 0
        while idle < _IDLE_TICKS:
            time.sleep(_TICK_S)
            with self._guard:
                idle = 0 if self._watched else idle + 1
                for thread, deadline in list(self._watched.items()):
                    if time.monotonic() >= deadline:
                        signal.pthread_kill(thread, signal.SIGVTALRM)
                if idle >= _IDLE_TICKS:
                    self._running = False
