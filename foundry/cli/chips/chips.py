"""`foundry chips`: the chip model, fitted to times and held against them."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from foundry.cli import options
from foundry.cli.app import LazyGroup, is_typed
from foundry.cli.output import note, print_json
from foundry.errors import UsageError

if TYPE_CHECKING:
    from foundry.chips.fitting.measured import MeasuredRows
    from foundry.chips.fitting.refit import Data

_DATA = click.argument(
    "data", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)


@click.group(cls=LazyGroup, lazy={}, help="Fit the chip model to times; see how often it is right.")
def command() -> None:
    """Group of the commands of the chip model."""


@command.command("fit")
@_DATA
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="File to write the fit to.",
)
@click.option(
    "--from-store",
    is_flag=True,
    help="Add what this database holds of times on Apple GPUs, a Mac's own measurements.",
)
@options.user_code_options
@options.db_option
@options.json_option
@options.debug_option
def fit_command(
    data: Path | None, output: Path, from_store: bool, db: str | None, as_json: bool
) -> None:
    """Fit the constants of the chip model to times.

    DATA is a CSV file with the columns op, chip, cores, kernel, constants, axes, dtype, us, source
    and label; its kernels lie beside it as OP/KERNEL.metal. Without it, the published times that
    come with this package. What is written holds the constants, the date, the data's hash and how
    often the model ranks rightly when it is fitted without the op that it speaks of; foundry
    predict takes it as --constants.
    """
    from foundry.chips import fitted
    from foundry.chips.fitting.refit import data_of, refit
    from foundry.chips.fitting.rows import PUBLISHED

    if not from_store and is_typed("db"):
        raise UsageError("--db goes with --from-store: give both, or neither")
    path = data or PUBLISHED
    measured = _measured(db) if from_store else None
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    found = refit(path, data_of(path, measured), today)
    fitted.write(found, output)
    if as_json:
        print_json(dict(found.about))
    else:
        for name, value in found.about.items():
            click.echo(f"{name:13s} {value}")
        note(f"kept in {output}")


def _measured(db: str | None) -> MeasuredRows:
    """The times of a database, and a word on what is left out."""
    from foundry.chips.fitting.measured import measured_rows
    from foundry.chips.profiled import Profiler
    from foundry.harness.processes.pool import WorkerPool
    from foundry.report.format import count
    from foundry.store import Store

    with Store.open(db, read_only=True) as store, WorkerPool("cpu", workers=1) as pool:
        found = measured_rows(store.evaluations(), Profiler(pool).profile)
    note(f"{count(len(found.rows), 'time')} of Apple GPUs in the database")
    for why, times in found.left_out.most_common():
        note(f"left out: {count(times, 'time')}: {why}")
    return found


@command.command("accuracy")
@_DATA
@options.json_option
@options.debug_option
def accuracy_command(data: Path | None, as_json: bool) -> None:
    """Print how often the chip model ranks rightly, as the tables of docs/chip-model.md."""
    from foundry.chips.fitting.comparison import compare
    from foundry.chips.fitting.rows import PUBLISHED
    from foundry.chips.fitting.tables import tables

    found = compare(_read(data or PUBLISHED))
    if as_json:
        print_json(found.document())
    else:
        click.echo(tables(found))


def _read(path: Path) -> Data:
    from foundry.chips.fitting.refit import data_of

    return data_of(path)
