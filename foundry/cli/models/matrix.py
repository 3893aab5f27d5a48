"""`foundry matrix RECIPE`: many models with the kernels of a catalog, kept cell by cell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from foundry.cli.options import db_option, debug_option, json_option
from foundry.cli.output import note, print_json, print_table

if TYPE_CHECKING:
    from foundry.cli.models.validating import ModelBench
    from foundry.models.matrix import MatrixCell, MatrixRecipe
    from foundry.models.validation import ModelValidation

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("matrix")
@click.argument("recipe", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--every-kernel", is_flag=True, help="Kernels where they are proven, timed or not.")
@click.option("--anew", is_flag=True, help="Validate again what is in the database.")
@click.option("--csv", "csv_file", type=_FILE, help="Write the table there, too.")
@click.option("--html", "html_file", type=_FILE, help="Write a page there, too.")
@db_option
@json_option
@debug_option
def command(
    recipe: Path,
    every_kernel: bool,
    anew: bool,
    csv_file: Path | None,
    html_file: Path | None,
    db: str | None,
    as_json: bool,
) -> int:
    """Validate every model of a recipe in every mode; cells that are known are not done again.

    RECIPE is a TOML file such as runs/models.toml. Exit code 1 when a token differs in the mode
    stable.
    """
    from foundry.cli.models.validating import ModelBench
    from foundry.datasets.files import write_text
    from foundry.models import matrix
    from foundry.models.loading import check_name
    from foundry.models.page import page
    from foundry.report.table import Column

    wanted = matrix.read(recipe)
    for cell in wanted.cells:
        check_name(cell.model)
    with ModelBench(wanted.catalog, every_kernel) as bench:
        found = [_cell(bench, wanted, cell, db, anew) for cell in wanted.cells]
    rows = [matrix.row_of(validation) for validation in found]
    if csv_file:
        write_text(csv_file, matrix.as_csv(rows))
    if html_file:
        write_text(html_file, page(found, bench.device.name))
    if as_json:
        print_json([validation.model_dump(mode="json") for validation in found])
    else:
        elastic = ("kernels", "why", "catalog")
        print_table([Column(t, elastic=t in elastic) for t in matrix.COLUMNS], rows)
    return 1 if any(v.mode == "stable" and not v.is_same for v in found) else 0


def _cell(
    bench: ModelBench, recipe: MatrixRecipe, cell: MatrixCell, db: str | None, anew: bool
) -> ModelValidation:
    """What is known of a cell, or what is found out now."""
    from foundry.cli.models.validating import validated
    from foundry.models.conditions import ValidationPlan, conditions
    from foundry.models.loading import load
    from foundry.models.validation import ModelValidation
    from foundry.store import Store, validations

    loaded = load(cell.model, cell.dtype, cell.quantised)
    plan = ValidationPlan(cell.mode, recipe.tokens, recipe.pairs)
    under = conditions(loaded, bench.package, plan).model_dump(mode="json")
    with Store.open(db) as store:
        known = None if anew else validations.latest(store, bench.key(loaded, cell.mode), under)
    if known is not None:
        return ModelValidation.model_validate(known.document)
    found = validated(bench, loaded, plan, db, save=True)
    same, tokens = found.identical
    note(f"{found.model} {cell.mode}: {same} of {tokens} tokens identical")
    return found
