"""What goes into a catalog: one proven kernel in one dtype, with the record that proves it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from foundry.judge.verdict import Evaluation, Status
from foundry.kernel import Kernel
from foundry.program import Device
from ops.spec import Op


@dataclass(frozen=True)
class CatalogEntry:
    """A winner."""

    op: Op
    kernel: Kernel
    evaluation: Evaluation
    device: Device


_MOST_KERNELS = 4
"""Kernels of an op in one dtype and from one device: each must be verified where it is used."""


def winners(candidates: Iterable[CatalogEntry]) -> tuple[CatalogEntry, ...]:
    """Per op, dtype and device the best candidate, and those that win elsewhere than it does.

    The best is `faster` before `correct`, then highest in score. Beside it stands the fastest
    candidate of every workload that was timed, if that is another. Of a kernel that was timed on
    the same workloads several times the last time counts, not the luckiest.

    Args:
        candidates: In the order in which they were judged.
    """
    groups: dict[tuple[str, str, str], list[CatalogEntry]] = {}
    for entry in _latest(candidates):
        key = (entry.op.name, entry.evaluation.dtype, entry.device.id)
        groups.setdefault(key, []).append(entry)
    return tuple(entry for key in sorted(groups) for entry in _chosen(groups[key]))


def _latest(candidates: Iterable[CatalogEntry]) -> Iterable[CatalogEntry]:
    found: dict[tuple[object, ...], CatalogEntry] = {}
    for entry in candidates:
        evaluation = entry.evaluation
        timed = frozenset(t.workload for t in evaluation.timings)
        found[entry.kernel.hash, evaluation.op, evaluation.dtype, entry.device.id, timed] = entry
    return (entry for entry in found.values() if entry.evaluation.status.passed)


def _chosen(group: list[CatalogEntry]) -> list[CatalogEntry]:
    best = max(group, key=_rank)
    fastest: dict[str, tuple[float, CatalogEntry]] = {}
    for entry in group:
        if entry.evaluation.status is not Status.FASTER:
            continue
        for timing in entry.evaluation.timings:
            held = fastest.get(timing.workload)
            if timing.speedup_low > 1 and (held is None or timing.speedup_low > held[0]):
                fastest[timing.workload] = timing.speedup_low, entry
    chosen = {best.kernel.hash: best}
    for _, entry in fastest.values():
        chosen.setdefault(entry.kernel.hash, entry)
    return list(chosen.values())[:_MOST_KERNELS]


def _rank(entry: CatalogEntry) -> tuple[bool, float]:
    evaluation = entry.evaluation
    return evaluation.status is Status.FASTER, evaluation.score or 0.0
