"""Counters as one JSON document, for databases, prompts and `--json`: units in every name. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from foundry.msl.counters.model import (
    ATOMIC,
    BANKS,
    DEVICE,
    LINE_BYTES,
    THREADGROUP,
    ArrayCount,
    Counters,
    LineCount,
    Traffic,
)

LINES = 5
"""Of device memory that are kept."""
THREADGROUP_LINES = 2
LineInFile = Callable[[int, str, int], int | None]
"""Line of the kernel file, from launch, part and line; None where it is not known."""


def summarise(
    counters: Counters, flops: int, ideal_bytes: int, line_in_file: LineInFile
) -> dict[str, Any]:
    """What a person or a model wants to know of a kernel's memory accesses.

    Args:
        counters: What was counted.
        flops: Of the op on this workload.
        ideal_bytes: That the op must move at least.
        line_in_file: Maps lines.
    """
    shared = counters.threadgroup
    return {
        "line_size_bytes": LINE_BYTES,
        "threadgroup_banks": BANKS,
        "is_estimate": counters.is_estimate,
        "threadgroups": [launch.threadgroups for launch in counters.launches],
        "counted_threadgroups": [launch.counted_threadgroups for launch in counters.launches],
        "simdgroups": sum(launch.simdgroups for launch in counters.launches),
        "moved_bytes": counters.moved_bytes,
        "touched_line_bytes": counters.line_bytes,
        "ideal_bytes": ideal_bytes,
        "flops": flops,
        "flops_per_moved_byte": _over(flops, counters.moved_bytes),
        "flops_per_touched_line_byte": _over(flops, counters.line_bytes),
        "flops_per_ideal_byte": _over(flops, ideal_bytes),
        "loads": _traffic(counters.loads),
        "stores": _traffic(counters.stores),
        "bank_conflict_degree_mean": shared.per_instruction,
        "bank_conflict_degree_ideal": shared.ideal_per_instruction,
        "bank_conflict_degree_worst": shared.worst_transactions or None,
        "barriers": counters.barriers,
        "simdgroup_barriers": counters.simdgroup_barriers,
        "simdgroup_operations": counters.collectives,
        "atomics": counters.atomics,
        "arrays": [_array(array) for array in counters.arrays if array.traffic.instructions],
        "lines": [_line(line, line_in_file) for line in _lines(counters)],
    }


def _lines(counters: Counters) -> Sequence[LineCount]:
    """The hottest of device memory, and those of threadgroup memory that lose most to conflicts."""
    shared = [
        line
        for line in counters.hottest(1000, THREADGROUP)
        if line.access != ATOMIC and line.traffic.transactions > line.traffic.ideal_transactions
    ]
    shared.sort(key=lambda line: line.traffic.ideal_transactions - line.traffic.transactions)
    return (*counters.hottest(LINES, DEVICE), *shared[:THREADGROUP_LINES])


def _line(line: LineCount, line_in_file: LineInFile) -> dict[str, Any]:
    return {
        "launch": line.launch + 1,
        "line": line_in_file(line.launch, line.part, line.line) if line.line else None,
        "text": line.text,
        "array": line.array,
        "space": line.space,
        "access": line.access,
        "sentence": line.sentence,
        **_traffic(line.traffic),
    }


def _array(array: ArrayCount) -> dict[str, Any]:
    return {
        "name": array.name,
        "space": array.space,
        "size_bytes": array.size_bytes,
        "read_factor": array.read_factor,
        "loads": _traffic(array.loads),
        "stores": _traffic(array.stores),
        "atomics": _traffic(array.atomics),
    }


def _traffic(traffic: Traffic) -> dict[str, Any]:
    return {
        "instructions": traffic.instructions,
        "bytes": traffic.bytes,
        "transactions": traffic.transactions,
        "ideal_transactions": traffic.ideal_transactions,
        "transactions_per_instruction": traffic.per_instruction,
        "worst_transactions": traffic.worst_transactions,
        "coalescing": traffic.coalescing,
    }


def _over(value: int, by: int) -> float | None:
    return value / by if by else None
