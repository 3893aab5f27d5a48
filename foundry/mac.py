"""What a Mac says of itself: its chip, the cores of its GPU, and how it saves power."""

from __future__ import annotations

import ctypes
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

_CHIP = "machdep.cpu.brand_string"
_REGISTRY = ("/usr/sbin/ioreg", "-rc", "IOAccelerator", "-d1")
_POWER = ("/usr/bin/pmset", "-g")
_GPU_CORES = re.compile(r'"gpu-core-count"\s*=\s*(\d+)')
_POWER_MODE = re.compile(r"^\s*(lowpowermode|powermode)\s+(\d+)", re.MULTILINE)
_MODES = {"0": "automatic", "1": "low", "2": "high"}
_LIMIT_S = 10.0
_ANSWER_BYTES = 1 << 12


def facts(
    ask: Callable[[Sequence[str]], str] | None = None, chip: str | None = None
) -> dict[str, str | int]:
    """Chip, GPU cores and power mode, as far as the system tells; nothing on other systems.

    Args:
        ask: Runs a command and gives what it prints.
        chip: Name of the processor; None: this machine's.
    """
    ask, chip = ask or _printed, chip or processor()
    if chip is None:
        return {}
    found: dict[str, str | int] = {"chip": chip}
    if cores := _GPU_CORES.search(ask(_REGISTRY)):
        found["gpu_cores"] = int(cores[1])
    if mode := _POWER_MODE.search(ask(_POWER)):
        found["power_mode"] = _MODES.get(mode[2], mode[2])
    return found


def processor() -> str | None:
    """The name of a Mac's processor, such as `Apple M4 Max`; None on other systems."""
    if sys.platform != "darwin":
        return None
    return sysctl(_CHIP, ctypes.CDLL(None))


def sysctl(name: str, system: Any) -> str | None:
    """A text that the system of a Mac knows by name; `system` is its C library."""
    answer = ctypes.create_string_buffer(_ANSWER_BYTES)
    size = ctypes.c_size_t(_ANSWER_BYTES)
    failed = system.sysctlbyname(name.encode(), answer, ctypes.byref(size), None, 0)
    return None if failed else answer.value.decode(errors="replace") or None


def _printed(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(list(command), capture_output=True, timeout=_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace")  # names of programs are among it, cut anywhere
