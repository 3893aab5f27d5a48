"""The judge's own clocks on a worker: what a stretch of work took, as nobody in the worker tells.

The wall shows what somebody waited, on a busy machine for others as well. The processor time of a
process shows what it did itself. A worker may not look fast by idling: where it did little for as
long as it could have, that counts.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from foundry.harness.processes.clock import processor_s

_PAUSE_S = 4e-5
_MOST_PAUSES = 50
_MESSAGES_S = 2e-3
"""What a stretch may idle whatever it does: the time until a message is read, and read again."""
_MOST_AWAKE = 2.0
_SCHEDSTAT_BYTES = 128


@dataclass(frozen=True)
class Lap:
    """One stretch of work."""

    wall_s: float
    busy_s: float | None = None
    """Processor time of the worker's process, all its threads together; None where unknown."""
    waited_s: float = 0.0
    """How long its threads, and the judge's, could have run and had no processor."""

    @property
    def own_s(self) -> float:
        """What the work takes where nobody else is."""
        if self.busy_s is None:
            return self.wall_s
        awake_s = self.wall_s - self.waited_s
        is_idle = awake_s > _MOST_AWAKE * self.busy_s + _MESSAGES_S
        return awake_s if is_idle else self.busy_s


class Stopwatch:
    """Takes the time of a worker that waits before and after.

    Args:
        pid: Of the worker.
        busy_s: Processor time of a process so far.
        waited_s: How long a process has waited for a processor so far.
        wall_s: The wall's clock.
        pause: Sleeps so many seconds.
    """

    def __init__(
        self,
        pid: int,
        busy_s: Callable[[int], float | None] = processor_s,
        waited_s: Callable[[int], float] | None = None,
        wall_s: Callable[[], float] = time.perf_counter,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._pid = pid
        self._busy_s = busy_s
        self._waited_s = waited_s or _waited_s
        self._wall_s = wall_s
        self._pause = pause
        self._waited_before_s = self._waited_s(pid)
        self._busy_before_s = self._settled()
        self._start_s = wall_s()

    def stop(self) -> Lap:
        """The time since it was made."""
        wall_s = self._wall_s() - self._start_s
        busy_s = self._settled()
        if busy_s is None or self._busy_before_s is None:
            return Lap(wall_s)
        waited_s = self._waited_s(self._pid) - self._waited_before_s
        return Lap(wall_s, busy_s - self._busy_before_s, waited_s)

    def _settled(self) -> float | None:
        """Processor time once it stands: that of a thread counts when it stops running."""
        latest = self._busy_s(self._pid)
        for _ in range(_MOST_PAUSES):
            if latest is None:
                break
            self._pause(_PAUSE_S)
            now = self._busy_s(self._pid)
            if now == latest:
                break
            latest = now
        return latest


def _waited_s(pid: int) -> float:
    """Of a process and of this thread, together; 0 where the system does not tell."""
    found = _delay_ns("/proc/thread-self/schedstat")
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        threads = []
    found += sum(_delay_ns(f"/proc/{pid}/task/{t}/schedstat") for t in threads)
    return found / 1e9


def _delay_ns(path: str) -> int:
    """Read without a file object, since this stands in every measurement."""
    try:
        file = os.open(path, os.O_RDONLY)
        try:
            return int(os.read(file, _SCHEDSTAT_BYTES).split()[1])
        finally:
            os.close(file)
    except (OSError, ValueError, IndexError):
        return 0
