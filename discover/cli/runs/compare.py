"""`discover compare`: searches side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from foundry.cli import options
from foundry.cli.output import note, print_json, print_table
from foundry.errors import UsageError
from foundry.report.table import Column

if TYPE_CHECKING:
    from discover.history.summary import Summary

_COLUMNS = (
    Column("op"),
    Column("dtype"),
    Column("run", right=True),
    Column("proposers", elastic=True),
    Column("best us", right=True),
    Column("speedup [95 %]"),
    Column("against the first"),
    Column("evaluations", right=True),
    Column("passed", right=True),
    Column("usd spent", right=True),
    Column("at most", right=True),
    Column("time", right=True),
)


@click.command("compare")
@click.argument("runs", type=int, nargs=-1, required=True, metavar="RUN...")
@options.user_code_options
@options.db_option
@options.json_option
@options.debug_option
def command(runs: tuple[int, ...], db: str | None, as_json: bool) -> None:
    """Compare searches or autoruns: what each found for every op, and for how much.

    Only searches of one device are compared; each is set against the first one named.
    """
    from discover.history.runs import pick
    from discover.history.summary import summarise
    from foundry.store import Store

    if len(set(runs)) < 2:
        raise UsageError("compare needs two runs or more; discover list shows them")
    with Store.open(db, read_only=True) as store:
        chosen = [summarise(store, run) for number in runs for run in pick(store, number)]
    devices = {summary.run.device.id for summary in chosen}
    if len(devices) > 1:
        raise UsageError("these runs are of different devices; their times cannot be compared")
    groups = _groups(chosen)
    if as_json:
        print_json([_document(first, summary) for first, summary in groups])
    else:
        print_table(_COLUMNS, [_row(first, summary) for first, summary in groups])
        note("next: discover report RUN --tree")


def _groups(chosen: list[Summary]) -> list[tuple[Summary, Summary]]:
    """Each search with the first one of its op and dtype, ops together."""
    first: dict[tuple[str, str], Summary] = {}
    for summary in chosen:
        first.setdefault((summary.op, summary.dtype), summary)
    order = {key: place for place, key in enumerate(first)}
    ordered = sorted(chosen, key=lambda s: order[(s.op, s.dtype)])
    return [(first[(s.op, s.dtype)], s) for s in ordered]


def _against(first: Summary, summary: Summary) -> tuple[float, float, float] | None:
    from discover.history.summary import over
    from foundry.report.figures import figures

    if summary is first or first.best is None or summary.best is None:
        return None
    one, other = figures(first.best.evaluation), figures(summary.best.evaluation)
    return over(other, one) if one and other else None


def _row(first: Summary, summary: Summary) -> list[str]:
    from discover.history.tables import money
    from foundry.report.figures import figures
    from foundry.report.format import duration, interval, latency

    best = figures(summary.best.evaluation) if summary.best else None
    against = _against(first, summary)
    passed = sum(n for status, n in summary.statuses.items() if status in ("correct", "faster"))
    return [
        summary.op,
        summary.dtype,
        str(summary.run.id),
        " ".join(summary.proposers),
        latency(best.kernel_us if best else None),
        interval(best.speedup, best.speedup_low, best.speedup_high) if best else "-",
        interval(*against) if against else "-",
        f"{summary.evaluations:,}",
        f"{passed:,}",
        *money(summary.spending),
        duration(summary.elapsed_s),
    ]


def _document(first: Summary, summary: Summary) -> dict[str, Any]:
    from discover.history.summary import document

    against = _against(first, summary)
    ratio = dict(zip(("speedup", "low", "high"), against, strict=True)) if against else None
    return {**document(summary), "against_run": first.run.id, "against_the_first": ratio}
