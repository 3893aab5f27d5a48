"""The sanitizer's run-time part seen from Python: mirrors of `prelude/sanitizer/state.h`."""

from __future__ import annotations

import ctypes

MOST_FINDINGS = 128
MOST_STORAGES = 256
STOPPED = 5
STAMP_BYTES = 16
STAMPS = 3
"""Of one granule: its last write, and two reads."""
LARGEST_GRANULE = 2
"""A granule is 2 to the power of this many bytes, or fewer."""
LATEST_TIME = 1 << 30
"""When time has come this far, it starts anew with cleared stamps."""

_u8p = ctypes.c_void_p


class Region(ctypes.Structure):
    """One array in its slot of the arena."""

    _fields_ = [
        ("begin", ctypes.c_uint64),
        ("size", ctypes.c_uint64),
        ("window", ctypes.c_uint64),
        ("window_bytes", ctypes.c_uint64),
        ("writes", _u8p),
        ("reads", _u8p),
        ("since", ctypes.c_uint32),
        ("born", ctypes.c_uint32),
        ("granule", ctypes.c_uint32),
        ("has_reads", ctypes.c_uint32),
        ("is_threadgroup", ctypes.c_uint32),
        ("is_new", ctypes.c_uint32),
        ("is_input", ctypes.c_uint32),
        ("unused", ctypes.c_uint32),
    ]


class FindingRecord(ctypes.Structure):
    """A finding as the hooks write it."""

    _fields_ = [
        ("kind", ctypes.c_uint32),
        ("region", ctypes.c_uint32),
        ("offset", ctypes.c_int64),
        ("bytes", ctypes.c_uint32),
        ("is_write", ctypes.c_uint32),
        ("thread", ctypes.c_uint32),
        ("other_thread", ctypes.c_uint32),
        ("place", ctypes.c_uint64),
        ("other_place", ctypes.c_uint64),
        ("count", ctypes.c_uint64),
        ("detail", ctypes.c_int64),
        ("line", ctypes.c_uint32),
        ("part", ctypes.c_uint32),
    ]


class Hot(ctypes.Structure):
    """What every access looks at."""

    _fields_ = [
        ("arena", ctypes.c_uint64),
        ("fast_bytes", ctypes.c_uint64),
        ("arena_bytes", ctypes.c_uint64),
        ("region", ctypes.c_void_p),
        ("shift", ctypes.c_uint32),
        ("regions", ctypes.c_uint32),
        ("who", ctypes.c_uint32),
        ("when", ctypes.c_uint32),
        ("latest", ctypes.c_uint64),
    ]


class Quick(ctypes.Structure):
    """An array of a launch with quick checks."""

    _fields_ = [("size", ctypes.c_uint64), ("seen", ctypes.c_void_p)]


QuickArrays = Quick * 32
QuickItems = ctypes.c_uint32 * 32


class SanitizerState(ctypes.Structure):
    """The part of the state that Python fills in and reads."""

    _fields_ = [
        ("shared", ctypes.c_uint32),
        ("threadgroup_memory", ctypes.c_void_p),
        ("storages", ctypes.c_uint32),
        ("storage_begin", ctypes.c_uint32 * MOST_STORAGES),
        ("storage_end", ctypes.c_uint32 * MOST_STORAGES),
        ("code", ctypes.c_uint64),
        ("found", ctypes.c_uint32),
        ("beyond", ctypes.c_uint32),
        ("findings", FindingRecord * MOST_FINDINGS),
    ]


class Unset(ctypes.Structure):
    """Elements of an output that no thread wrote."""

    _fields_ = [
        ("count", ctypes.c_uint64),
        ("first", ctypes.c_uint64),
        ("place", ctypes.c_int32),
        ("is_written", ctypes.c_uint32),
    ]
