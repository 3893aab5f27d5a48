"""`foundry report`: what the database knows."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import click

from foundry.cli import options, parameters
from foundry.cli.output import note, print_json, print_table

if TYPE_CHECKING:
    from foundry.report.summary import SummaryEntry


@click.command("report")
@click.option("--ops", type=parameters.OPS, help="Only these ops, comma-separated.")
@click.option(
    "--top",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Best kernels of each op, dtype and device.",
)
@click.option(
    "--kernel", metavar="HASH", help="Print this kernel's file instead; 4 or more digits."
)
@options.user_code_options
@options.db_option
@options.json_option
@options.debug_option
def command(
    ops: tuple[str, ...] | None, top: int, kernel: str | None, db: str | None, as_json: bool
) -> None:
    """Show the best kernels and the counts by status, for each device on its own.

    Kernels are ordered by the lower bound of their speedup over the baseline.
    """
    from foundry.report.summary import summary, summary_document
    from foundry.store import Store

    with Store.open(db, read_only=True) as store:
        if kernel is not None:
            _kernel(store.kernel_hash(kernel), store.kernel_text(kernel), as_json)
            return
        entries = summary(store, ops, top)
    if as_json:
        print_json([summary_document(entry) for entry in entries])
    elif entries:
        _tables(entries)
    else:
        note("no evaluations yet; next: foundry run --ops softmax")


def _kernel(kernel_hash: str, text: str, as_json: bool) -> None:
    if as_json:
        print_json({"kernel_hash": kernel_hash, "text": text})
    else:
        click.echo(text, nl=not text.endswith("\n"))


def _tables(entries: list[SummaryEntry]) -> None:
    from foundry.report.summary import SUMMARY_COLUMNS, summary_rows

    devices = groupby(
        entries,
        key=lambda e: (e.overview.device_kind, e.overview.device_name, e.overview.device_id),
    )
    for place, ((kind, name, device_id), group) in enumerate(devices):
        click.echo(f"{'' if not place else chr(10)}{kind}: {name} ({device_id})")
        print_table(SUMMARY_COLUMNS, [row for entry in group for row in summary_rows(entry)])
    note("next: foundry report --kernel HASH, foundry catalog build")
