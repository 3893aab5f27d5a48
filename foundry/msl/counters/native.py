"""The counters' run-time part seen from Python: mirrors of `prelude/counters/counters.h`."""

from __future__ import annotations

import ctypes

TOO_MUCH = 6
TALLY_FIELDS = ("instructions", "accesses", "bytes", "units", "ideal", "worst", "caller")


class MemoryRange(ctypes.Structure):
    """An array in memory."""

    _fields_ = [
        ("begin", ctypes.c_uint64),
        ("end", ctypes.c_uint64),
        ("is_threadgroup", ctypes.c_uint32),
    ]


class CounterState(ctypes.Structure):
    """What a launch starts from and what it leaves."""

    _fields_ = [
        ("block", ctypes.c_uint64),
        ("block_bytes", ctypes.c_uint64),
        ("threadgroup_memory", ctypes.c_uint64),
        ("ranges", ctypes.c_void_p),
        ("arrays", ctypes.c_uint32),
        ("latest", ctypes.c_uint32),
        ("tally", ctypes.c_void_p),
        ("most_events", ctypes.c_uint64),
        ("events", ctypes.c_uint64),
        ("threadgroups", ctypes.c_uint64),
        ("threads", ctypes.c_uint64),
        ("groups", ctypes.c_uint64),
        ("barriers", ctypes.c_uint64),
    ]
