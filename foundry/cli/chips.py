"""`foundry chips`: the chip model, fitted to times and held against them."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from foundry.cli import options
from foundry.cli.app import LazyGroup
from foundry.cli.output import note, print_json

if TYPE_CHECKING:
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
@options.json_option
@options.debug_option
def fit_command(data: Path | None, output: Path, as_json: bool) -> None:
    """Fit the constants of the chip model to times.

    DATA is a CSV file with the columns op, chip, cores, kernel, constants, axes, dtype, us, source
    and label; its kernels lie beside it as OP/KERNEL.metal. Without it, the published times that
    come with this package. What is written holds the constants, the date, the data's hash and how
    often the model ranks rightly when it is fitted without the op that it speaks of; foundry
    predict takes it as --constants.
    """
    from foundry.chips import fitted
    from foundry.chips.fitting.refit import refit
    from foundry.chips.fitting.rows import PUBLISHED

    path = data or PUBLISHED
    found = refit(path, _read(path), datetime.datetime.now(datetime.UTC).date().isoformat())
    fitted.write(found, output)
    if as_json:
        print_json(dict(found.about))
    else:
        for name, value in found.about.items():
            click.echo(f"{name:13s} {value}")
        note(f"kept in {output}")


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
