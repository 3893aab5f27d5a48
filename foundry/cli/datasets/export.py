"""`foundry export`: every attempt, failures included, as a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from foundry.cli import options, parameters
from foundry.cli.output import note, print_json
from foundry.report.format import STATUS_ORDER, count

if TYPE_CHECKING:
    from foundry.datasets import Exported

_FORMATS = parameters.Names("format", lambda: ("jsonl", "parquet"))
_STATUSES = parameters.Names("status", lambda: STATUS_ORDER)


@click.command("export")
@options.output_option("runs/attempts")
@click.option(
    "--format",
    "formats",
    type=_FORMATS,
    default="jsonl",
    show_default=True,
    help="jsonl, parquet (needs pyarrow), or both, comma-separated.",
)
@click.option("--status", "statuses", type=_STATUSES, help="Only these statuses, comma-separated.")
@click.option(
    "--run", "run_id", type=click.IntRange(1), help="Only this run; see foundry list runs."
)
@options.selection_options
@options.user_code_options
@options.db_option
@options.json_option
@options.debug_option
def command(
    output: Path,
    formats: tuple[str, ...],
    statuses: tuple[str, ...] | None,
    run_id: int | None,
    ops: tuple[str, ...] | None,
    device_id: str | None,
    db: str | None,
    as_json: bool,
) -> None:
    """Write every evaluation as a row, failures with their reasons.

    A row holds the kernel, what became of it and the raw times. The folder gets attempts.jsonl or
    attempts.parquet, a card (README.md) and metadata.json with the hash of each file. Each file is
    written whole or not at all.
    """
    from foundry.cli.datasets.selecting import chosen
    from foundry.datasets import export_attempts
    from foundry.store import Store

    with Store.open(db, read_only=True) as store:
        found = chosen(store, ops, device_id, statuses, run_id)
        exported = export_attempts(found, store.origins(), output, formats)  # type: ignore[arg-type]
    show_exported(exported, as_json)


def show_exported(exported: Exported, as_json: bool) -> None:
    """Say what was written."""
    if as_json:
        document = {"folder": str(exported.folder), "rows": exported.rows}
        print_json({**document, "files": exported.files, "notes": exported.notes})
        return
    for name, rows in exported.files.items():
        click.echo(f"{exported.folder / name}  {count(rows, 'row')}")
    for line in exported.notes:
        note(f"note: {line}")
