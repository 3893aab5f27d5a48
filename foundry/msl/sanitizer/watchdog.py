"""Interrupts a thread that runs for too long, without a new thread for each run.

One thread looks at the clocks while there is something to watch, and ends when there has been
nothing for a while. Time is that of the watched thread's processor where the system tells it, so
that a busy machine makes no loop endless.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from foundry.msl.sanitizer.thread_clock import clock_of

_TICK_S = 0.02
_IDLE_TICKS = 250


class Watchdog:
    """Sends SIGVTALRM to a thread at its deadline."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._watched: dict[int, tuple[Callable[[], float], float]] = {}
        self._running = False

    @contextmanager
    def watch(self, limit_s: float) -> Iterator[None]:
        """Interrupt the calling thread, again and again, while the block takes longer."""
        thread = threading.get_ident()
        with self._guard:
            clock = clock_of(thread)
            self._watched[thread] = clock, clock() + limit_s
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
                for thread, (clock, deadline) in list(self._watched.items()):
                    if clock() >= deadline:
                        signal.pthread_kill(thread, signal.SIGVTALRM)
                if idle >= _IDLE_TICKS:
                    self._running = False
