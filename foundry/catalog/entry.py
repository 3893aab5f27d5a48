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


def winners(candidates: Iterable[CatalogEntry]) -> tuple[CatalogEntry, ...]:
    """The best candidate per op, dtype and device: `faster` before `correct`, then by score."""
    best: dict[tuple[str, str, str], CatalogEntry] = {}
    for entry in candidates:
        if not entry.evaluation.status.passed:
            continue
        key = (entry.op.name, entry.evaluation.dtype, entry.device.id)
        if key not in best or _rank(entry) > _rank(best[key]):
            best[key] = entry
    return tuple(best[key] for key in sorted(best))


def _rank(entry: CatalogEntry) -> tuple[bool, float]:
    evaluation = entry.evaluation
    return evaluation.status is Status.FASTER, evaluation.score or 0.0
