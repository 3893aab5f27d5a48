"""The clock of a worker: a busy machine must not make an honest kernel look hung."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_PATIENCE = 4.0
"""A worker that uses no processor (it waits for a GPU, or sleeps) gets as many times its limit."""
_SCHED_CLOCK = 2
_CHILDREN = slice(13, 15)
"""In `/proc/PID/stat`, behind the name: what ended children used, in both modes."""


def processor_s(pid: int) -> float | None:
    """Processor time of a process, all its threads together, in seconds; None where unknown.

    Linux numbers the clock of another process as `clock_getcpuclockid(3)` does.
    """
    if sys.platform == "darwin":
        return mach_processor_s(pid, ctypes.CDLL(None))
    if sys.platform != "linux":
        return None
    try:
        return time.clock_gettime((~pid << 3) | _SCHED_CLOCK)
    except OSError:
        return None


def children_s(pid: int) -> float | None:
    """Processor time of the children of a process that have ended, in seconds; None where unknown.

    A process that has ended has none.
    """
    if sys.platform != "linux":
        return None
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[_CHILDREN])) / os.sysconf("SC_CLK_TCK")


def mach_processor_s(pid: int, system: Any) -> float | None:
    """The same on macOS, whose C library `system` is.

    `proc_pid_rusage` counts in ticks of `mach_absolute_time`: 125 / 3 ns each on Apple silicon.
    """
    usage, timebase = _Usage(), (ctypes.c_uint32 * 2)()
    if system.proc_pid_rusage(pid, 0, ctypes.byref(usage)):
        return None
    if system.mach_timebase_info(ctypes.byref(timebase)):
        return None
    ticks: int = usage.user + usage.system
    return ticks * timebase[0] / timebase[1] / 1e9


class _Usage(ctypes.Structure):
    """`rusage_info_v0`."""

    _fields_ = [
        ("uuid", ctypes.c_uint8 * 16),
        ("user", ctypes.c_uint64),
        ("system", ctypes.c_uint64),
        ("rest", ctypes.c_uint64 * 8),
    ]


class Clock:
    """Seconds that a worker had since its latest job began.

    They pass with the processor time that the worker used, never faster than the wall's and never
    slower than a fixed share of it; and not at all while the worker is stopped.

    Args:
        used_s: Processor time of the worker so far, in seconds; None where nobody knows.
        wall_s: The wall's clock, in seconds.
    """

    def __init__(
        self,
        used_s: Callable[[], float | None] = lambda: None,
        wall_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._used_s = used_s
        self._wall_s = wall_s
        self._lost_s = 0.0
        self._since: float | None = None
        self.restart()

    def restart(self) -> None:
        """Begin at zero: another job."""
        self._start_s = self._wall()
        self._used_before_s = self._used_s()

    def __call__(self) -> float:
        """Now."""
        passed = self._wall() - self._start_s
        used = self._used_s()
        if used is None or self._used_before_s is None:
            return passed
        return max(min(passed, used - self._used_before_s), passed / _PATIENCE)

    def _wall(self) -> float:
        since = self._since
        return (self._wall_s() if since is None else since) - self._lost_s

    def stop(self) -> None:
        """Stand still."""
        self._since = self._wall_s()

    def resume(self) -> None:
        """Go on."""
        if self._since is not None:
            # In this order a thread that reads the clock meanwhile finds it slow, never fast.
            self._lost_s += self._wall_s() - self._since
            self._since = None
