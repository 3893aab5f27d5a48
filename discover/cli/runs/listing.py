"""`discover list`: searches and autoruns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from foundry.cli import options, parameters
from foundry.cli.listing import when
from foundry.cli.output import note, print_json, print_table
from foundry.report.format import interval
from foundry.report.table import Column

if TYPE_CHECKING:
    from discover.history.summary import Summary
    from foundry.store import Store
    from foundry.store.records import RunRecord

_COLUMNS = (
    Column("run", right=True),
    Column("kind"),
    Column("op"),
    Column("proposers", elastic=True),
    Column("outcome"),
    Column("evaluations", right=True),
    Column("best speedup [95 %]"),
    Column("usd spent", right=True),
    Column("at most", right=True),
    Column("device", elastic=True),
    Column("started"),
)


@click.command("list")
@click.option("--op", type=parameters.OP, help="Only searches of this op.")
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="Runs at most, the latest.",
)
@options.user_code_options
@options.db_option
@options.json_option
@options.debug_option
def command(op: str | None, limit: int, db: str | None, as_json: bool) -> None:
    """List searches and autoruns, the latest first, with how they ended."""
    from foundry.store import Store

    with Store.open(db, read_only=True) as store:
        runs = [r for r in store.runs() if r.kind in ("search", "autorun")]
        chosen = [r for r in runs if op in (None, r.settings.get("op"))][::-1][:limit]
        entries = [(run, _summary(store, run)) for run in chosen]
    if as_json:
        print_json([_document(run, summary) for run, summary in entries])
    elif entries:
        print_table(_COLUMNS, [_row(run, summary) for run, summary in entries])
    else:
        note("no searches yet; next: discover search softmax")


def _summary(store: Store, run: RunRecord) -> Summary | None:
    from discover.history.summary import summarise

    return summarise(store, run) if run.kind == "search" else None


def _document(run: RunRecord, summary: Summary | None) -> dict[str, Any]:
    from discover.history.summary import document

    if summary is not None:
        return {"kind": run.kind, **document(summary)}
    return {
        "kind": run.kind,
        "run_id": run.id,
        "outcome": run.outcome,
        "recipe": run.settings.get("name"),
        "started_at": run.started_at.isoformat(),
    }


def _row(run: RunRecord, summary: Summary | None) -> list[str]:
    from discover.history.summary import Spending
    from discover.history.tables import money
    from foundry.report.figures import figures

    best = figures(summary.best.evaluation) if summary and summary.best else None
    spending = summary.spending if summary else Spending()
    return [
        str(run.id),
        run.kind,
        summary.op if summary else str(run.settings.get("name", "-")),
        " ".join(summary.proposers) if summary else "-",
        run.outcome or "unfinished",
        f"{summary.evaluations:,}" if summary else "-",
        interval(best.speedup, best.speedup_low, best.speedup_high) if best else "-",
        *money(spending),
        f"{run.device.kind}: {run.device.name}",
        when(run.started_at),
    ]
