"""The Kernel and its file: read, written, held against its op, resolved for a workload.

`model` owns the values and their canonical text, `reading` the file format, `binding` what the
values mean for an op, `normal_form` when two kernels are the same, `build_log` the compiler's words
on the lines of the file.
"""

from __future__ import annotations

from foundry.kernel.binding import bind, check
from foundry.kernel.model import (
    MATH_MODES,
    MAX_THREADS_PER_THREADGROUP,
    Constant,
    Kernel,
    KernelLaunch,
    Temporary,
    Triple,
    line_in_file,
    render,
    text_hash,
)
from foundry.kernel.reading import parse

__all__ = [
    "MATH_MODES",
    "MAX_THREADS_PER_THREADGROUP",
    "Constant",
    "Kernel",
    "KernelLaunch",
    "Temporary",
    "Triple",
    "bind",
    "check",
    "line_in_file",
    "parse",
    "render",
    "text_hash",
]
