"""What a database knows, one entry per op, dtype and device; times of devices never mix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from foundry.report.figures import figures
from foundry.report.format import interval, latency, statuses
from foundry.report.table import Column

if TYPE_CHECKING:
    from foundry.store import Store
    from foundry.store.records import Overview, StoredEvaluation


@dataclass(frozen=True)
class SummaryEntry:
    """One op in one dtype on one device: counts, and the best kernels."""

    overview: Overview
    best: tuple[StoredEvaluation, ...]


SUMMARY_COLUMNS = (
    Column("op"),
    Column("dtype"),
    Column("workload", elastic=True),
    Column("base us", right=True),
    Column("best us", right=True),
    Column("speedup [95 %]"),
    Column("kernel"),
    Column("evals", right=True),
    Column("statuses", elastic=True),
)


def summary(store: Store, ops: Sequence[str] | None = None, top: int = 1) -> list[SummaryEntry]:
    """Entries in order of device, op and dtype.

    Args:
        store: An open database.
        ops: Only these ops; None: all.
        top: Best kernels of each entry, by the lower bound of their speedup.
    """
    chosen = [o for o in store.overview() if ops is None or o.op in ops]
    chosen.sort(key=lambda o: (o.device_kind, o.device_id, o.op, o.dtype))
    return [SummaryEntry(o, tuple(store.best(o.op, o.device_id, o.dtype, top))) for o in chosen]


def summary_rows(entry: SummaryEntry) -> list[list[str]]:
    """Table rows of an entry: one per best kernel, counts on the first."""
    counts = [f"{entry.overview.evaluations:,}", statuses(entry.overview.statuses)]
    if not entry.best:
        return [[entry.overview.op, entry.overview.dtype, "-", "-", "-", "-", "-", *counts]]
    rows = []
    for place, stored in enumerate(entry.best):
        found = figures(stored.evaluation)
        rows.append(
            [
                "" if place else entry.overview.op,
                "" if place else entry.overview.dtype,
                found.workload if found else "-",
                latency(found.baseline_us if found else None),
                latency(found.kernel_us if found else None),
                interval(found.speedup, found.speedup_low, found.speedup_high) if found else "-",
                stored.evaluation.kernel_hash[:8],
                *(["", ""] if place else counts),
            ]
        )
    return rows


def summary_document(entry: SummaryEntry) -> dict[str, Any]:
    """An entry as plain data."""
    overview = entry.overview
    return {
        "op": overview.op,
        "dtype": overview.dtype,
        "device": {
            "id": overview.device_id,
            "kind": overview.device_kind,
            "name": overview.device_name,
        },
        "evaluations": overview.evaluations,
        "statuses": dict(overview.statuses),
        "last_at": overview.last_at.isoformat(),
        "best": [stored_document(stored) for stored in entry.best],
    }


def stored_document(stored: StoredEvaluation) -> dict[str, Any]:
    """A stored evaluation as plain data, without raw samples and text."""
    samples = {"timings": {"__all__": {"samples_baseline_us", "samples_kernel_us"}}}
    return {
        **stored.evaluation.model_dump(mode="json", exclude=samples),
        "score": stored.evaluation.score,
        "run_id": stored.run_id,
        "origin": {
            "kind": stored.origin.kind,
            "name": stored.origin.name,
            "detail": dict(stored.origin.detail),
        },
        "parent_hash": stored.parent_hash,
        "device": {
            "id": stored.device.id,
            "kind": stored.device.kind,
            "name": stored.device.name,
        },
        "created_at": stored.created_at.isoformat(),
    }
