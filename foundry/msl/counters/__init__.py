"""Counts what a kernel's SIMD-groups do: memory transactions, bank conflicts, barriers, by line.

`count(program, inputs)` runs a program on the cpu with a hook before every access and gives
`Counters`. Ownership: `toolchain` builds with the hooks that `instrument` puts in, by the loops
that `flow` finds; `places` knows the lines; `native` mirrors the run-time part (prelude/counters);
`sample` picks threadgroups, `run` does the work, `model` is the result and `summary` its document.
"""

from __future__ import annotations

from foundry.msl.counters.model import (
    ArrayCount,
    Counters,
    LaunchCount,
    LineCount,
    Traffic,
    counters_from,
)
from foundry.msl.counters.run import THREADGROUPS, count
from foundry.msl.counters.summary import summarise

__all__ = [
    "THREADGROUPS",
    "ArrayCount",
    "Counters",
    "LineCount",
    "LaunchCount",
    "Traffic",
    "count",
    "counters_from",
    "summarise",
]
