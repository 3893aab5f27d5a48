"""The counters of a kernel as lines and tables for a terminal or a prompt. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foundry.judge.time.counting import KEY
from foundry.judge.verdict import Evaluation
from foundry.report.format import factor, percent, size
from foundry.report.table import Column

Summary = Mapping[str, Any]
TITLE = "Counters (a GPU modelled, not timed)"
MODEL = "lines of 128 bytes, 32 banks"
ARRAYS = (
    Column("array"),
    Column("size", right=True),
    Column("loaded", right=True),
    Column("re-read", right=True),
    Column("stored", right=True),
    Column("lines/load", right=True),
    Column("lines/store", right=True),
    Column("coalescing", right=True),
)
SHARED = (
    Column("threadgroup"),
    Column("size", right=True),
    Column("loaded", right=True),
    Column("stored", right=True),
    Column("passes/load", right=True),
    Column("passes/store", right=True),
    Column("worst", right=True),
    Column("ideal", right=True),
)


def counters_of(evaluation: Evaluation) -> dict[str, Summary]:
    """Summaries by workload, without those that could not be counted."""
    found = evaluation.extra.get(KEY, {})
    return {workload: one for workload, one in found.items() if "uncounted" not in one}


def sampled(summary: Summary) -> str:
    """How many threadgroups stand for all; empty when all were counted."""
    if not summary["is_estimate"]:
        return ""
    pairs = zip(summary["counted_threadgroups"], summary["threadgroups"], strict=True)
    parts = [f"{counted:,} of {whole:,}" for counted, whole in pairs]
    return f"sampled {' and '.join(parts)} threadgroups; totals are estimates"


def arrays(summary: Summary) -> list[list[str]]:
    """A row per array of device memory: what threads move, and the lines an access touches."""
    return [
        [
            array["name"],
            size(array["size_bytes"]),
            _bytes(array["loads"]),
            factor(array["read_factor"]) if array["loads"]["bytes"] else "-",
            _bytes(_written(array)),
            _each(array["loads"]),
            _each(_written(array)),
            _ideal(array),
        ]
        for array in summary["arrays"]
        if array["space"] == "device"
    ]


def shared(summary: Summary) -> list[list[str]]:
    """A row per threadgroup array: what threads move, and the passes an access takes."""
    return [
        [
            array["name"],
            size(array["size_bytes"]),
            _bytes(array["loads"]),
            _bytes(_written(array)),
            _each(array["loads"]),
            _each(_written(array)),
            str(max(array[way]["worst_transactions"] for way in ("loads", "stores"))),
            _ideal(array),
        ]
        for array in summary["arrays"]
        if array["space"] == "threadgroup"
    ]


def facts(summary: Summary) -> list[str]:
    """What is counted of the whole kernel: traffic, arithmetic, conflicts, synchronisation."""
    moved, ideal = summary["moved_bytes"], summary["ideal_bytes"]
    more = f", {factor(moved / ideal)} the op's {size(ideal)}" if ideal else ""
    touched = size(summary["touched_line_bytes"])
    lines = [f"threads move {size(moved)}{more}; SIMD-groups touch lines of {touched}"]
    if summary["flops"] and moved:
        per = [summary["flops_per_moved_byte"], summary["flops_per_ideal_byte"]]
        lines.append(f"{per[0]:.3g} FLOP per byte moved, {per[1]:.3g} in the op's own model")
    if summary["bank_conflict_degree_worst"]:
        lines.append(
            f"bank conflicts: degree {summary['bank_conflict_degree_mean']:.2f} on average"
            f" ({summary['bank_conflict_degree_ideal']:.2f} without any),"
            f" worst {summary['bank_conflict_degree_worst']}"
        )
    synchronised = {
        "threadgroup barriers": summary["barriers"],
        "SIMD-group barriers": summary["simdgroup_barriers"],
        "SIMD-group operations": summary["simdgroup_operations"],
        "atomics": summary["atomics"],
    }
    said = ", ".join(f"{value:,} {name}" for name, value in synchronised.items() if value)
    lines.append(said or "no barriers, SIMD-group operations or atomics")
    return lines


def hottest(summary: Summary) -> list[str]:
    """The costliest lines of the kernel, each with what a SIMD-group does there."""
    shown: list[str] = []
    latest: tuple[object, ...] | None = None
    for line in summary["lines"]:
        here = (line["line"], line["text"])
        if here != latest:
            number = "?" if line["line"] is None else line["line"]
            shown.append(f"{number:>5} | {line['text']}")
        shown.append(f"      = {line['sentence']}, {line['transactions']:,} in all")
        latest = here
    return shown


def sentences(summary: Summary) -> list[str]:
    """The lines that cost more than the same bytes side by side would, in words for a prompt."""
    return [
        f"line {line['line']}: {line['sentence']} (`{line['text']}`)"
        for line in summary["lines"]
        if line["line"] is not None and line["transactions"] > 1.005 * line["ideal_transactions"]
    ]


def coalescing(summary: Summary) -> str:
    """The shares of transactions that loads and stores need: `loads 11 %, stores 100 %`."""
    ways = (("loads", summary["loads"]), ("stores", summary["stores"]))
    said = [f"{name} {percent(way['coalescing'])}" for name, way in ways if way["transactions"]]
    return ", ".join(said)


def _written(array: Summary) -> Summary:
    """The stores; the atomics, where there are no others."""
    found: Summary = array["stores"] if array["stores"]["instructions"] else array["atomics"]
    return found


def _bytes(traffic: Summary) -> str:
    return size(traffic["bytes"]) if traffic["bytes"] else "-"


def _each(traffic: Summary) -> str:
    each = traffic["transactions_per_instruction"]
    return "-" if each is None else f"{each:.1f}".removesuffix(".0")


def _ideal(array: Summary) -> str:
    ways = [array[way] for way in ("loads", "stores", "atomics")]
    actual = sum(way["transactions"] for way in ways)
    return percent(sum(way["ideal_transactions"] for way in ways) / actual) if actual else "-"
