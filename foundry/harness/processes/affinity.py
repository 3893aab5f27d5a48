"""Keeps processes on one processor while they are timed.

MLX computes on one thread and hands over from another. Where both have a processor of their own,
each hand-over waits until the other one wakes, or does not, as the machine likes; and a kernel that
is spread over all processors would look fast against what uses one. On one processor a thread that
wakes would push aside the one that woke it, or not: as batch threads they never do.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence


@contextlib.contextmanager
def on_one_processor(pids: Sequence[int]) -> Iterator[None]:
    """All threads of some processes on the same processor, those they start meanwhile included.

    Without effect where the system cannot do it.
    """
    if sys.platform != "linux":
        yield
        return
    allowed = os.sched_getaffinity(0)
    for pid in pids:
        _place(pid, {max(allowed)}, os.SCHED_BATCH)
    try:
        yield
    finally:
        for pid in pids:
            _place(pid, allowed, os.SCHED_OTHER)


def _place(pid: int, processors: set[int], policy: int) -> None:
    for thread in _threads(pid):
        with contextlib.suppress(OSError):  # one that is gone by now costs no other its place
            os.sched_setaffinity(thread, processors)
            os.sched_setscheduler(thread, policy, os.sched_param(0))


def _threads(pid: int) -> list[int]:
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    except OSError:  # the whole worker is gone
        return []
