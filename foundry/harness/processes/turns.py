"""Who of one process uses the machine now: many candidates prove, or one is timed and all rest.

1. A candidate takes a turn for as long as it is judged. The turn is busy while the judge's own
   thread works for it, and asks while its workers do.
2. Timing is alone: it waits until no turn is busy, stops the workers that were asked (they go on
   afterwards, and the time they stood still does not count), and keeps everybody where they are.
3. Between processes the device lock says the same: a turn shares it, timing has it exclusively.
   A turn that waits to be alone gives its share back first. Otherwise two processes that both want
   to time would each wait for the other's share, for ever.

Waiting for workers to finish instead would leave the machine idle: a build takes longer than a
measurement.
"""

from __future__ import annotations

import fcntl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol

from foundry.harness.processes.lock import DeviceLock


class Stoppable(Protocol):
    """The workers of one candidate."""

    @property
    def can_stop(self) -> bool:
        """Whether they can be stopped while they are asked, and go on afterwards."""

    def stop(self) -> None:
        """Let them stand still, and their deadlines with them."""

    def resume(self) -> None:
        """Let them go on."""


class Turns:
    """The turns of one process on one device. Safe to use from threads.

    Args:
        lock: The lock of the device.
    """

    def __init__(self, lock: DeviceLock) -> None:
        self._lock = lock
        self._door = threading.Lock()
        """Held for a moment by whoever takes a turn, and all the while by whoever is alone."""
        self._changed = threading.Condition()
        self._inside: set[Turn] = set()
        self._is_timing = False

    @contextmanager
    def turn(self, workers: Stoppable) -> Iterator[Turn]:
        """Take a turn; waits while somebody times."""
        with ExitStack() as held:
            with self._door:
                descriptor = held.enter_context(self._lock.shared())
                turn = Turn(self, workers, descriptor)
                with self._changed:
                    self._inside.add(turn)
            try:
                yield turn
            finally:
                with self._changed:
                    self._inside.discard(turn)
                    self._changed.notify_all()

    def leave(self, turn: Turn, *, asks: bool) -> None:
        """The turn is no longer busy: its workers are asked, or it waits to be alone."""
        with self._changed:
            turn.is_busy, turn.asks = False, asks
            self._changed.notify_all()
        if not asks:
            fcntl.flock(turn.descriptor, fcntl.LOCK_UN)

    def enter(self, turn: Turn) -> None:
        """The turn is busy again, and shares the device; waits while somebody times."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: not self._is_timing)
            fcntl.flock(turn.descriptor, fcntl.LOCK_SH)
            with self._changed:
                if not self._is_timing:
                    turn.is_busy, turn.asks = True, False
                    return
            # Somebody of this process began to time meanwhile, and waits for it.
            fcntl.flock(turn.descriptor, fcntl.LOCK_UN)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else is busy, no worker runs that was asked, and no other process times."""
        with self._door:
            with self._changed:
                self._is_timing = True
                try:
                    self._changed.wait_for(lambda: not any(t.is_busy for t in self._inside))
                except BaseException:
                    self._is_timing = False
                    raise
                others = [t for t in self._inside if t.asks]
            with ExitStack() as back:
                back.callback(self._go_on)
                for turn in others:
                    back.callback(turn.resume)
                    turn.stop()
                for turn in others:
                    back.callback(fcntl.flock, turn.descriptor, fcntl.LOCK_SH)
                    fcntl.flock(turn.descriptor, fcntl.LOCK_UN)
                with self._lock.exclusive():
                    yield

    def _go_on(self) -> None:
        with self._changed:
            self._is_timing = False
            self._changed.notify_all()


class Turn:
    """One candidate's use of the machine. For use by one thread."""

    def __init__(self, turns: Turns, workers: Stoppable, descriptor: int) -> None:
        self._turns = turns
        self.workers = workers
        self.descriptor = descriptor
        """Of the shared device lock."""
        self.is_busy = True
        self.asks = False
        self.stood_s = 0.0
        """How long its workers stood still."""
        self._since = 0.0

    def clock(self) -> float:
        """Seconds, without those in which its workers stood still."""
        return time.perf_counter() - self.stood_s

    def stop(self) -> None:
        """Let its workers stand still."""
        self._since = time.perf_counter()
        self.workers.stop()

    def resume(self) -> None:
        """Let its workers go on."""
        self.workers.resume()
        self.stood_s += time.perf_counter() - self._since

    @contextmanager
    def asking(self) -> Iterator[None]:
        """For as long as the workers are asked: somebody else may stop them now, and time alone.

        At the end this thread waits until that timing is over.
        """
        if not self.is_busy or not self.workers.can_stop:
            yield
            return
        self._turns.leave(self, asks=True)
        try:
            yield
        finally:
            self._turns.enter(self)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Have the machine to oneself."""
        self._turns.leave(self, asks=False)
        try:
            with self._turns.alone():
                yield
        finally:
            self._turns.enter(self)
