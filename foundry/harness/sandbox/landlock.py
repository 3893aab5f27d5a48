"""Landlock: what a process may open, as rules over files and folders. Linux 5.13 and newer.

Whatever no rule allows is refused: other files, TCP, signals to processes outside, `ptrace`.
Numbers and structures from the kernel's `linux/landlock.h`; older kernels know fewer of them.
"""

from __future__ import annotations

import ctypes
import functools
import os
import struct
import sys
from collections.abc import Mapping
from enum import IntFlag
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1
_PATH_BENEATH = 1
_NETWORK = 0b11
_NETWORK_SINCE = 4
_SCOPES = 0b11
_SCOPES_SINCE = 6
_O_PATH = 0o10000000


class Access(IntFlag):
    """What a rule allows beneath a path."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    TRUNCATE = 1 << 14
    IOCTL_DEV = 1 << 15


READ = Access.READ_FILE | Access.READ_DIR
RUN = READ | Access.EXECUTE
WRITE = (
    READ
    | Access.WRITE_FILE
    | Access.REMOVE_FILE
    | Access.REMOVE_DIR
    | Access.MAKE_REG
    | Access.MAKE_DIR
    | Access.REFER
    | Access.TRUNCATE
)
_OF_FILES = (
    Access.EXECUTE | Access.WRITE_FILE | Access.READ_FILE | Access.TRUNCATE | Access.IOCTL_DEV
)
_KNOWN_SINCE = {2: Access.REFER, 3: Access.TRUNCATE, 5: Access.IOCTL_DEV}


@functools.cache
def version() -> int:
    """Version of the kernel's Landlock; 0 where there is none."""
    if sys.platform != "linux":
        return 0
    found = _libc().syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))
    return max(0, int(found))


def restrict(rules: Mapping[Path, Access]) -> None:
    """Confine this thread, and every thread and process it starts from now on.

    Paths that do not exist are left out. Needs `no_new_privs`.

    Raises:
        OSError: The kernel refuses.
    """
    known = _known_access()
    ruleset = _create(known)
    try:
        for path, access in rules.items():
            _allow(ruleset, path, access & known)
        _check(_libc().syscall(_RESTRICT_SELF, ruleset, ctypes.c_uint32(0)))
    finally:
        os.close(ruleset)


def _known_access() -> Access:
    known = Access(sum(Access))
    for since, access in _KNOWN_SINCE.items():
        if version() < since:
            known &= ~access
    return known


def _create(known: Access) -> int:
    fields = [int(known)]
    if version() >= _NETWORK_SINCE:
        fields.append(_NETWORK)
    if version() >= _SCOPES_SINCE:
        fields.append(_SCOPES)
    attributes = struct.pack(f"={len(fields)}Q", *fields)
    size = ctypes.c_size_t(len(attributes))
    return _check(_libc().syscall(_CREATE_RULESET, attributes, size, ctypes.c_uint32(0)))


def _allow(ruleset: int, path: Path, access: Access) -> None:
    try:
        beneath = os.open(path, _O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not path.is_dir():
            access &= _OF_FILES
        rule = struct.pack("=Qi", int(access), beneath)
        _check(_libc().syscall(_ADD_RULE, ruleset, _PATH_BENEATH, rule, ctypes.c_uint32(0)))
    finally:
        os.close(beneath)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"Landlock: {os.strerror(number)}")
    return int(result)
