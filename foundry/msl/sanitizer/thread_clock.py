"""How much processor time a thread has had, asked from another thread.

Linux and macOS count it, each in its own way; elsewhere the wall clock stands in, which a busy
machine makes too fast.
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

_BASIC_INFORMATION = 3
"""`THREAD_BASIC_INFO`."""


class _Information(ctypes.Structure):
    """`thread_basic_info` of Mach."""

    _fields_ = [
        ("user_s", ctypes.c_int32),
        ("user_us", ctypes.c_int32),
        ("system_s", ctypes.c_int32),
        ("system_us", ctypes.c_int32),
        ("rest", ctypes.c_int32 * 6),
    ]


def clock_of(thread: int) -> Callable[[], float]:
    """A clock of seconds for the thread with this `threading.get_ident()`."""
    if sys.platform == "darwin":
        return mach_clock(thread, ctypes.CDLL(None))
    if hasattr(time, "pthread_getcpuclockid"):
        return partial(time.clock_gettime, time.pthread_getcpuclockid(thread))
    return time.monotonic


def mach_clock(thread: int, system: Any) -> Callable[[], float]:
    """The clock of a thread on macOS; `system` is its C library."""
    port_of = system.pthread_mach_thread_np
    port_of.argtypes, port_of.restype = [ctypes.c_void_p], ctypes.c_uint32
    ask = system.thread_info
    ask.argtypes = [ctypes.c_uint32, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
    port = port_of(thread)
    latest = 0.0

    def clock() -> float:
        nonlocal latest
        found = _Information()
        words = ctypes.c_uint32(ctypes.sizeof(found) // 4)
        # A thread that has ended is not told of, and needs no more time.
        if not ask(port, _BASIC_INFORMATION, ctypes.byref(found), ctypes.byref(words)):
            latest = found.user_s + found.system_s + (found.user_us + found.system_us) / 1e6
        return latest

    return clock
