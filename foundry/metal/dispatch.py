"""One dispatch of a kernel: its sizes, checked as Metal's encoder would."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from foundry.errors import UsageError
from foundry.metal.facts import Facts
from foundry.metal.reading.parameters import FunctionParameter
from foundry.msl.run.runtime import MAX_STORAGE_BYTES
from foundry.program import Size3

Size = int | Sequence[int]
_LARGEST = (1 << 32) - 1
_MEMORY_STEP = 16


@dataclass(frozen=True)
class DispatchSizes:
    """Of a dispatch: in threads, and the bytes of each threadgroup argument."""

    grid: Size3
    threadgroup: Size3
    threadgroup_bytes: tuple[int, ...]


def sizes(
    function: str,
    facts: Facts,
    shared: Sequence[tuple[FunctionParameter, int]],
    *,
    grid: Size | None,
    threadgroups: Size | None,
    threadgroup: Size,
    threadgroup_memory: Mapping[int, int] | None,
) -> DispatchSizes:
    """The sizes of a dispatch in either style.

    Args:
        function: The kernel's name, for messages.
        facts: What it tells.
        shared: Its parameters in threadgroup memory, and their indices.
        grid: Threads of the grid, whose last threadgroups may be smaller (`dispatchThreads`).
        threadgroups: Or how many threadgroups (`dispatchThreadgroups`).
        threadgroup: Threads of a threadgroup.
        threadgroup_memory: Bytes by index.

    Raises:
        UsageError: Sizes that Metal would refuse.
    """
    group = _size3("threadgroup", threadgroup)
    if (grid is None) == (threadgroups is None):
        raise UsageError("give either grid= (threads) or threadgroups= (how many of them)")
    if grid is not None:
        threads = _size3("grid", grid)
    else:
        assert threadgroups is not None
        counts = _size3("threadgroups", threadgroups)
        threads = _size3("grid", [n * size for n, size in zip(counts, group, strict=True)])
    if math.prod(group) > facts.most_threads:
        raise UsageError(
            f"a threadgroup of {math.prod(group)} threads: '{function}' runs with at most"
            f" {facts.most_threads}"
        )
    return DispatchSizes(threads, group, _memory(function, shared, threadgroup_memory or {}))


def _size3(name: str, given: Size) -> Size3:
    try:
        values = tuple(map(operator.index, given if isinstance(given, Iterable) else (given,)))
    except TypeError:
        values = ()
    if not 1 <= len(values) <= 3:
        raise UsageError(f"{name}={given!r}: it is a whole number, or up to three of them")
    if not all(1 <= value <= _LARGEST for value in values):
        raise UsageError(f"{name}={given!r}: every size is at least 1 and below 2**32")
    x, y, z = (*values, 1, 1)[:3]
    return x, y, z


def _memory(
    function: str, shared: Sequence[tuple[FunctionParameter, int]], given: Mapping[int, int]
) -> tuple[int, ...]:
    known = {index for _, index in shared}
    for index, size in given.items():
        if index not in known:
            raise UsageError(f"'{function}' has no threadgroup memory at index {index}")
        if size <= 0 or size % _MEMORY_STEP:
            raise UsageError(
                f"threadgroup_memory={{{index}: {size}}}: Metal takes a multiple of"
                f" {_MEMORY_STEP} bytes"
            )
    total = sum(given.values())
    if total > MAX_STORAGE_BYTES:
        raise UsageError(f"{total} bytes of threadgroup memory: Metal has {MAX_STORAGE_BYTES}")
    for parameter, index in shared:
        if index not in given:
            raise UsageError(
                f"'{function}' takes '{parameter.name}' in threadgroup memory: give"
                f" threadgroup_memory={{{index}: bytes}}"
            )
    return tuple(given[index] for _, index in shared)
