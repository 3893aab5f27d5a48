"""From counters to what costs a kernel most, and what would move it. Pure.

Each rule reads one side of a summary and gives a cause or none. Which rules apply depends on the
device: lines and banks are a GPU's, and on a processor every thread switch counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from foundry.prompts.foci import ALGORITHM, LAUNCH, MEMORY, SYNCHRONISATION
from foundry.report.format import count, factor, percent, size

Summary = Mapping[str, Any]

_EXCESS = 1.3
"""Times what is needed beyond which it is worth a sentence."""
_GROUPS_PER_CORE = 8
"""SIMD-groups that hide the memory latency of one GPU core."""
_USUAL_CORES = 10
_OFTEN = 0.5
"""Synchronising steps for each access to device memory."""
_SWITCH = 4.0
"""What such a step costs on a processor, where 32 threads take turns on a core, in accesses."""
_SHORT = 16
"""Accesses of a thread below which a processor has hardly a loop to vectorise."""
_NARROW_BYTES = 4
_LANES = 32


@dataclass(frozen=True)
class Cause:
    """One thing that costs a kernel time."""

    factor: float
    """About how many times as much is done as need be: ranks causes, promises nothing."""
    what: str
    cure: str
    focus: str


Rule = Callable[[Summary, int | None], Cause | None]


def causes(summary: Summary, kind: str, cores: int | None = None) -> tuple[Cause, ...]:
    """What costs most, the worst first.

    Args:
        summary: Counters of one workload.
        kind: Of the device: `cpu`, `metal`.
        cores: Of the GPU; None where they are not known.
    """
    rules = _ON_A_PROCESSOR if kind == "cpu" else _ON_A_GPU
    found = [cause for rule in rules if (cause := rule(summary, cores)) is not None]
    return tuple(sorted(found, key=lambda cause: -cause.factor))


def idle(summary: Summary) -> Iterator[str]:
    """What need not be looked at: the kernel has none of it."""
    if not _waits(summary):
        yield SYNCHRONISATION


def _traffic(summary: Summary, cores: int | None) -> Cause | None:
    moved, ideal = summary["moved_bytes"], summary["ideal_bytes"]
    if not ideal or moved <= _EXCESS * ideal:
        return None
    arrays = [a for a in summary["arrays"] if a["space"] == "device"]
    worst = max(arrays, key=lambda a: a["loads"]["bytes"] - a["size_bytes"], default=None)
    what = f"threads move {size(moved)}, {factor(moved / ideal)} the {size(ideal)} the op must move"
    cure = "fewer passes: keep in registers or threadgroup memory what is needed again"
    if worst and worst["loads"]["bytes"] > _EXCESS * worst["size_bytes"]:
        times = factor(worst["loads"]["bytes"] / max(1, worst["size_bytes"]))
        what += f" ({worst['name']} is loaded {times} its size)"
        cure = (
            f"load {worst['name']} fewer times: keep it in registers or threadgroup memory, or let "
            "one thread do all that shares a value"
        )
    return Cause(moved / ideal, what, cure, ALGORITHM)


def _coalescing(summary: Summary, cores: int | None) -> Cause | None:
    ways = (summary["loads"], summary["stores"])
    actual = sum(way["transactions"] for way in ways)
    ideal = sum(way["ideal_transactions"] for way in ways)
    if not ideal or actual <= _EXCESS * ideal:
        return None
    what = f"SIMD-groups need {actual:,} transactions where {ideal:,} would do"
    if worst := _costly_line(summary, "device"):
        what += f"; {worst}"
    cure = "let neighbouring lanes touch neighbouring elements, each 4 at a time where that divides"
    return Cause(actual / ideal, what, cure, MEMORY)


def _conflicts(summary: Summary, cores: int | None) -> Cause | None:
    mean, ideal = summary["bank_conflict_degree_mean"], summary["bank_conflict_degree_ideal"]
    if not mean or not ideal or mean <= _EXCESS * ideal:
        return None
    what = f"accesses to threadgroup memory take {mean:.1f} passes over its banks, not {ideal:.1f}"
    if worst := _costly_line(summary, "threadgroup"):
        what += f"; {worst}"
    cure = "pad the rows of the threadgroup array by one element, or change which lane takes what"
    return Cause(min(mean / ideal, 4.0), what, cure, MEMORY)


def _few_groups(summary: Summary, cores: int | None) -> Cause | None:
    have, wanted = summary["simdgroups"], _GROUPS_PER_CORE * (cores or _USUAL_CORES)
    if not have or have >= wanted:
        return None
    named = f"its {cores} cores" if cores else f"{_USUAL_CORES} cores"
    what = f"only {count(have, 'SIMD-group')} run, and {named} want {wanted} to hide memory latency"
    cure = "share the work out over more threadgroups: split rows, or split the reduction in two"
    return Cause(min(wanted / have, 8.0), what, cure, LAUNCH)


def _narrow(summary: Summary, cores: int | None) -> Cause | None:
    loads = summary["loads"]
    if not loads["instructions"] or loads["instructions"] < 4 * summary["simdgroups"]:
        return None
    each = loads["bytes"] / (loads["instructions"] * _LANES)
    # Less than a byte: most lanes load nothing, and it is not the width that counts.
    if not 1 <= each <= _NARROW_BYTES:
        return None
    what = f"a lane loads {each:.3g} bytes at a time"
    cure = "load vectors of 4 elements, with a scalar tail"
    return Cause(1.2, what, cure, MEMORY)


def _waiting(summary: Summary, cores: int | None) -> Cause | None:
    found = _often(summary)
    if found is None:
        return None
    cure = "reduce once at the end rather than in the loop, within a SIMD-group before across them"
    return Cause(min(1 + found[0], 4.0), found[1], cure, SYNCHRONISATION)


def _switching(summary: Summary, cores: int | None) -> Cause | None:
    found = _often(summary)
    if found is None:
        return None
    what = f"{found[1]}; on a processor each switches between 32 threads"
    cure = "let each thread work alone on a longer stretch, so that lanes seldom meet"
    return Cause(min(1 + _SWITCH * found[0], 16.0), what, cure, SYNCHRONISATION)


def _short(summary: Summary, cores: int | None) -> Cause | None:
    accesses, groups = _accesses(summary), summary["simdgroups"]
    if not groups or accesses >= _SHORT * groups:
        return None
    what = f"a thread makes about {count(max(1, round(accesses / groups)), 'access', 'accesses')}"
    cure = "give each thread a loop over neighbouring elements, which the compiler can vectorise"
    return Cause(2.0, f"{what}, so hardly a loop is left to vectorise", cure, LAUNCH)


def _often(summary: Summary) -> tuple[float, str] | None:
    """Synchronising steps for each access, and their number in words; None where they are few."""
    waits, accesses = _waits(summary), _accesses(summary)
    if not waits or waits <= _OFTEN * accesses:
        return None
    said = f"SIMD-groups wait for one another or exchange values {waits:,} times"
    return waits / max(1, accesses), f"{said}, against {accesses:,} accesses to memory"


def _waits(summary: Summary) -> int:
    """Barriers and SIMD-group operations, summed over SIMD-groups."""
    groups: float = summary["simdgroups"] / max(1, sum(summary["threadgroups"]))
    alone: int = summary["simdgroup_barriers"] + summary["simdgroup_operations"]
    barriers: int = summary["barriers"]
    return round(barriers * groups) + alone


def _accesses(summary: Summary) -> int:
    found: int = summary["loads"]["instructions"] + summary["stores"]["instructions"]
    return found


def _costly_line(summary: Summary, space: str) -> str:
    """The line that loses most in a memory; empty where none is known."""
    known = [li for li in summary["lines"] if li["space"] == space and li["line"] is not None]
    lost = [li for li in known if li["transactions"] > 1.005 * li["ideal_transactions"]]
    if not lost:
        return ""
    worst = max(lost, key=lambda li: li["transactions"] - li["ideal_transactions"])
    share = worst["transactions"] / max(1, sum(li["transactions"] for li in known))
    return f"line {worst['line']} (`{worst['text']}`) {percent(share)} of them: {worst['sentence']}"


_ON_A_GPU: tuple[Rule, ...] = (
    _traffic, _coalescing, _conflicts, _few_groups, _narrow, _waiting,
)  # fmt: skip
_ON_A_PROCESSOR: tuple[Rule, ...] = (_traffic, _switching, _short)
