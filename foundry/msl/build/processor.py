"""The processor that builds are for and that they are kept by."""

from __future__ import annotations

import functools
import platform
import sys
from pathlib import Path

from foundry import mac


@functools.cache
def processor() -> str:
    """What `-march=native` depends on: architecture, model and features of the processor."""
    kept = ("model name", "flags", "Features", "CPU implementer", "CPU part")
    try:
        text = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
        lines = [line for line in text.splitlines() if line.startswith(kept)]
    except OSError:
        lines = [mac.processor() or platform.processor()]
    return "\n".join([platform.machine(), sys.platform, *lines])


@functools.cache
def vector_bits() -> int:
    """Width of the widest vector registers that a build for this processor may use."""
    features = set(processor().split())
    if platform.machine() in ("arm64", "aarch64"):
        return 128
    widths = {"avx512f": 512, "avx": 256}
    return next((bits for name, bits in widths.items() if name in features), 128)
