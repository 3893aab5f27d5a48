"""Resource limits and capabilities of a worker: what holds on every system."""

from __future__ import annotations

import contextlib
import ctypes
import resource
import struct
import sys
from pathlib import Path

FILE_BYTES = 8 << 20
_DESCRIPTORS = 512
CPU_S = 3600
_PR_CAPBSET_DROP = 24
_LAST_CAPABILITY = 63
_CAPSET_VERSION_3 = 0x20080522
_CAPSET = {"x86_64": 126, "aarch64": 91}


def apply(
    memory_bytes: int | None, file_bytes: int = FILE_BYTES, cpu_s: int | None = CPU_S
) -> None:
    """Limit this process and those it starts.

    Args:
        memory_bytes: How much the address space may grow from here; None: no limit.
        file_bytes: Largest file it may write.
        cpu_s: Processor time; None: no limit.
    """
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, file_bytes)
    _limit(resource.RLIMIT_NOFILE, _DESCRIPTORS)
    if cpu_s is not None:
        _limit(resource.RLIMIT_CPU, cpu_s)
    if memory_bytes is not None:
        _limit(resource.RLIMIT_AS, _address_space() + memory_bytes)


def drop_capabilities(machine: str) -> None:
    """Give up every right of the superuser, where there are any. Linux only."""
    if sys.platform != "linux" or machine not in _CAPSET:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(_LAST_CAPABILITY + 1):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    header = struct.pack("=Ii", _CAPSET_VERSION_3, 0)
    libc.syscall(_CAPSET[machine], header, bytes(24))


def _limit(what: int, value: int) -> None:
    _, hard = resource.getrlimit(what)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(what, (value, value))


def _address_space() -> int:
    """Bytes of address space in use; a generous guess where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 64 << 30
    return pages * resource.getpagesize()
