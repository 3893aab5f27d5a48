"""The sanitizer's run-time part seen from Python: mirrors of `prelude/sanitizer/state.h`."""

from __future__ import annotations

import ctypes

MOST_FINDINGS = 128
MOST_STORAGES = 256
STOPPED = 5

_u8p = ctypes.c_void_p
_Three = ctypes.c_uint32 * 3


class Region(ctypes.Structure):
    """One array in its slot of the arena."""

    _fields_ = [
        ("begin", ctypes.c_uint64),
        ("size", ctypes.c_uint64),
        ("is_threadgroup", ctypes.c_uint32),
        ("is_atomic", ctypes.c_uint32),
        ("cells", _u8p),
        ("initialised", _u8p),
        ("loaded", ctypes.c_uint64),
        ("stored", ctypes.c_uint64),
    ]


class Finding(ctypes.Structure):
    """A finding as the hooks write it."""

    _fields_ = [
        ("kind", ctypes.c_uint32),
        ("region", ctypes.c_uint32),
        ("offset", ctypes.c_int64),
        ("bytes", ctypes.c_uint32),
        ("is_write", ctypes.c_uint32),
        ("thread", _Three),
        ("group", _Three),
        ("index", ctypes.c_uint32),
        ("other_thread", ctypes.c_uint32),
        ("place", ctypes.c_uint64),
        ("other_place", ctypes.c_uint64),
        ("count", ctypes.c_uint64),
        ("detail", ctypes.c_int64),
        ("line", ctypes.c_uint32),
        ("part", ctypes.c_uint32),
    ]


class State(ctypes.Structure):
    """The part of the state that Python fills in and reads."""

    _fields_ = [
        ("arena", ctypes.c_uint64),
        ("arena_bytes", ctypes.c_uint64),
        ("shift", ctypes.c_uint32),
        ("regions", ctypes.c_uint32),
        ("region", ctypes.c_void_p),
        ("threadgroup_memory", ctypes.c_void_p),
        ("storages", ctypes.c_uint32),
        ("storage_begin", ctypes.c_uint32 * MOST_STORAGES),
        ("storage_end", ctypes.c_uint32 * MOST_STORAGES),
        ("code", ctypes.c_uint64),
        ("found", ctypes.c_uint32),
        ("beyond", ctypes.c_uint32),
        ("findings", Finding * MOST_FINDINGS),
        ("barriers", ctypes.c_uint64),
        ("atomics", ctypes.c_uint64),
    ]


CELL_BYTES = 48
