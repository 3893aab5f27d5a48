"""What the house asks of macOS, over stand-ins with XNU's rules."""

from __future__ import annotations

import ctypes
import importlib
import mmap
import sys
from typing import Any

import pytest

from foundry.harness.processes.clock import mach_processor_s
from foundry.msl.run import memory, walled
from foundry.msl.sanitizer import arena
from foundry.msl.sanitizer.thread_clock import mach_clock

ANONYMOUS, NO_RESERVE, PRIVATE = 0x1000, 0x40, 0x2
ACCEPTED = 0x1F | NO_RESERVE | ANONYMOUS | 0x400 | 0x800
"""Flags that `mmap` of XNU takes for memory without a file; others give EINVAL."""


def test_memory_is_reserved_by_xnus_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    true, asked = mmap.mmap, []

    def xnu(descriptor: int, length: int, *, flags: int) -> mmap.mmap:
        asked.append(flags)
        if flags & ~ACCEPTED:
            raise OSError(22, "Invalid argument")
        return true(descriptor, length, flags=mmap.MAP_PRIVATE | linux_anonymous | 0x4000)

    linux_anonymous = mmap.MAP_ANONYMOUS
    monkeypatch.setattr(sys, "platform", "darwin")
    importlib.reload(memory)
    made, outputs = importlib.reload(arena), importlib.reload(walled)
    monkeypatch.setattr(mmap, "MAP_ANONYMOUS", ANONYMOUS)
    monkeypatch.setattr(mmap, "mmap", xnu)
    try:
        small = made.Arena(4, 1 << 16)
        assert small.bytes
        small.stamps(0, 4096)
        assert outputs._reserve(16384)[1] == 1 << 34
        assert set(asked) == {PRIVATE | ANONYMOUS | NO_RESERVE}
    finally:
        monkeypatch.undo()
        for module in (memory, arena, walled):
            importlib.reload(module)


class _Mach:
    """`pthread_mach_thread_np` and `thread_info` of a thread whose time the test sets."""

    def __init__(self) -> None:
        self.words = [0, 0, 0, 0]
        self.gone = False
        kind = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p)
        self.pthread_mach_thread_np = kind(lambda thread: 7 if thread == 1234 else 0)
        ask = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.c_uint32, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p
        )
        self.thread_info = ask(self._answer)

    def _answer(self, port: int, flavour: int, found: int, count: int) -> int:
        words = ctypes.c_uint32.from_address(count).value
        if self.gone or (port, flavour) != (7, 3) or words < 10:
            return 4
        for at, word in enumerate(self.words):
            ctypes.c_int32.from_address(found + 4 * at).value = word
        return 0


def test_a_limit_on_a_mac_counts_the_threads_own_time() -> None:
    system: Any = _Mach()
    clock = mach_clock(1234, system)
    assert clock() == 0
    system.words = [2, 500_000, 1, 250_000]
    assert clock() == pytest.approx(3.75)
    system.gone = True
    assert clock() == pytest.approx(3.75)


class _Processes:
    """`proc_pid_rusage` and `mach_timebase_info` where a second has 24 million ticks."""

    def __init__(self) -> None:
        usage = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
        self.proc_pid_rusage = usage(self._usage)
        self.mach_timebase_info = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(self._timebase)

    @staticmethod
    def _usage(pid: int, flavour: int, found: int) -> int:
        if (pid, flavour) != (77, 0):
            return -1
        for at, ticks in ((16, 36_000_000), (24, 12_000_000)):
            ctypes.c_uint64.from_address(found + at).value = ticks
        return 0

    @staticmethod
    def _timebase(found: int) -> int:
        for at, number in ((0, 125), (4, 3)):
            ctypes.c_uint32.from_address(found + at).value = number
        return 0


def test_a_worker_on_a_mac_is_timed_by_its_processor_time() -> None:
    system: Any = _Processes()
    assert mach_processor_s(77, system) == pytest.approx(2.0)
    assert mach_processor_s(78, system) is None
