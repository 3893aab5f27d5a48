"""seccomp: which system calls a process may make. A filter in classic BPF, assembled here.

Refused calls fail with EPERM, so that what only tries (a library that probes) goes on. A process
may start threads, not processes; send signals to itself alone; and make no socket.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import platform
import struct
import sys
from collections.abc import Iterator

from foundry.harness.sandbox.syscalls import LIMITED, NEWEST_KNOWN, REFUSED

_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _MODE_FILTER = 38, 22, 2

_LOAD, _EQUAL, _GREATER, _ANY_BIT, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST, _SECOND = 0, 4, 16, 24
"""Offsets in `struct seccomp_data`; of arguments, the low half."""
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_CLONE_THREAD = 0x00010000
_TTY_INPUT = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX put characters into a terminal."""
_SIGNALS_OF_FILES = (8, 10, 15)
"""F_SETOWN, F_SETSIG and F_SETOWN_EX let a pipe send signals to any process of the user."""
_TO_START_PROCESSES = frozenset({"fork", "vfork", "execve", "setsid", "setpgid", "tkill"})
_INSTRUCTION = struct.Struct("=HBBI")


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def available() -> bool:
    """Whether this kernel and architecture have a filter here."""
    if sys.platform != "linux" or platform.machine() not in _ARCHITECTURES:
        return False
    # A null program is bad (EFAULT) where filters exist, and unknown (EINVAL) where not.
    found = _libc().prctl(_PR_SET_SECCOMP, _MODE_FILTER, None, 0, 0)
    return found != 0 and ctypes.get_errno() in (errno.EFAULT, errno.EACCES)


def forbid_new_privileges() -> None:
    """No program that is started from now on gains rights by being started.

    Raises:
        OSError: The kernel refuses.
    """
    _check(_libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def restrict(*, may_start_processes: bool = False) -> None:
    """Filter the system calls of this thread, and of all it starts. Needs `no_new_privs`.

    Raises:
        OSError: The kernel refuses.
    """
    code = assemble(platform.machine(), os.getpid(), may_start_processes=may_start_processes)
    program = _Program(len(code) // _INSTRUCTION.size, code)
    _check(_libc().prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0))


def assemble(machine: str, pid: int, *, may_start_processes: bool) -> bytes:
    """The filter program for an architecture and a process."""
    return b"".join(_filter(machine, pid, may_start_processes))


def _filter(machine: str, pid: int, may_start_processes: bool) -> Iterator[bytes]:
    column, architecture = _ARCHITECTURES[machine]
    limited = {name: numbers[column] for name, numbers in LIMITED.items()}
    yield _code(_LOAD, _ARCHITECTURE)
    yield from _unless(_EQUAL, architecture, _code(_RETURN, _KILL))
    yield _code(_LOAD, _NUMBER)
    yield from _when(_GREATER, NEWEST_KNOWN, _refuse(errno.ENOSYS))
    for name, numbers in REFUSED.items():
        number = numbers[column]
        if number is not None and not (may_start_processes and name in _TO_START_PROCESSES):
            yield from _when(_EQUAL, number, _refuse(errno.EPERM))
    # The C library falls back to clone, whose flags a filter can read.
    yield from _when(_EQUAL, limited["clone3"], _refuse(errno.ENOSYS))
    if not may_start_processes:
        yield from _argument(limited["clone"], _FIRST, [(_ANY_BIT, _CLONE_THREAD)])
        yield from _argument(limited["kill"], _FIRST, [(_EQUAL, pid)])
        yield from _argument(limited["tgkill"], _FIRST, [(_EQUAL, pid)])
    yield from _argument(limited["prlimit64"], _FIRST, [(_EQUAL, 0), (_EQUAL, pid)])
    yield from _when(_EQUAL, limited["ioctl"], *_refused_values(_SECOND, _TTY_INPUT))
    yield from _when(_EQUAL, limited["fcntl"], *_refused_values(_SECOND, _SIGNALS_OF_FILES))
    yield _code(_RETURN, _ALLOW)


def _argument(number: int | None, offset: int, allowed: list[tuple[int, int]]) -> Iterator[bytes]:
    """Allow a system call whose argument passes one of the tests, refuse it otherwise."""
    tests = [_code(_LOAD, offset)]
    for test, value in allowed:
        tests += _when(test, value, _code(_RETURN, _ALLOW))
    yield from _when(_EQUAL, number, *tests, _refuse(errno.EPERM))


def _refused_values(offset: int, values: tuple[int, ...]) -> list[bytes]:
    tests = [_code(_LOAD, offset)]
    for value in values:
        tests += _when(_EQUAL, value, _refuse(errno.EPERM))
    return [*tests, _code(_RETURN, _ALLOW)]


def _when(test: int, value: int | None, *then: bytes) -> list[bytes]:
    if value is None:
        return []
    return [_INSTRUCTION.pack(test, 0, len(then), value), *then]


def _unless(test: int, value: int, *then: bytes) -> list[bytes]:
    return [_INSTRUCTION.pack(test, len(then), 0, value), *then]


def _refuse(number: int) -> bytes:
    return _code(_RETURN, _ERRNO | number)


def _code(operation: int, value: int) -> bytes:
    return _INSTRUCTION.pack(operation, 0, 0, value)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"seccomp: {os.strerror(number)}")
