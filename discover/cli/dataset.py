"""`discover dataset`: make the kernels of a recipe, then write them as a dataset."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foundry.cli import options, parameters
from foundry.cli.app import command_line
from foundry.cli.output import note, print_json

if TYPE_CHECKING:
    from discover.corpus.maker import Harvest
    from discover.corpus.recipe import CorpusRecipe
    from foundry.datasets import Exported


@click.command("dataset")
@click.argument("recipe", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the dataset.  [default: runs/NAME of the recipe]",
)
@click.option("--ops", type=parameters.OPS, help="Only these ops instead of the recipe's.")
@click.option(
    "--kernels", type=click.IntRange(1), help="Verified kernels.  [default: the recipe's]"
)
@click.option(
    "--time",
    "time_s",
    type=parameters.DURATION,
    help="Judge nothing more after this long: 90s, 1.5h.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, options.MOST_WORKERS),
    help="Kernels in flight.  [default: one per core, 2 to 8]",
)
@options.user_code_options
@options.language_option
@options.db_option
@options.json_option
@options.debug_option
def command(
    recipe: Path,
    output: Path | None,
    ops: tuple[str, ...] | None,
    kernels: int | None,
    time_s: float | None,
    workers: int | None,
    db: str | None,
    as_json: bool,
) -> None:
    """Make distinct verified kernels of many ops, with planted faults beside them, as a dataset.

    RECIPE says of which ops, how many, and what of them is timed, counted and predicted. Kernels
    come from templates and from rewrites of them. Cut short by anything, the same command goes on
    where it stopped; what is there is written as foundry data build writes it.
    """
    from discover.corpus.recipe import CorpusRecipe
    from discover.recipes import read

    given = {"ops": ops, "kernels": kernels}
    asked = read(recipe, CorpusRecipe).model_copy(
        update={name: value for name, value in given.items() if value is not None}
    )
    folder = output or Path("runs") / asked.name
    made, exported = _run(asked, folder, db, workers or options.default_workers(), time_s)
    if as_json:
        print_json(_document(made, exported))
    else:
        _show(made, exported)


def _run(
    recipe: CorpusRecipe, folder: Path, db: str | None, workers: int, time_s: float | None
) -> tuple[Harvest, Exported]:
    from discover.corpus.maker import Maker
    from foundry.datasets import export_dataset
    from foundry.datasets.export import check_folder
    from foundry.harness.processes.pool import WorkerPool
    from foundry.report.display import open_display
    from foundry.store import Store

    # What would be refused at the end costs nothing yet.
    recipe.check()
    check_folder(folder)
    with ExitStack() as stack:
        store = stack.enter_context(Store.open(db))
        pool = stack.enter_context(WorkerPool(recipe.device, workers))
        title = (
            f"discover dataset {recipe.name} · {len(recipe.op_names())} ops · "
            f"{recipe.kernels:,} kernels · {pool.device().name} · seed {recipe.seed}"
        )
        with open_display(title) as display:
            maker = Maker(recipe, store, pool, display, command_line(), time_s)
            made = maker.make()
        device = pool.device().id
        names = set(recipe.op_names()) | set(recipe.hold_out)
        rows = [row for row in store.evaluations(device_id=device) if row.evaluation.op in names]
        return made, export_dataset(rows, store.origins(), folder, recipe.choice(made.verified))


def _document(made: Harvest, exported: Exported) -> dict[str, Any]:
    return {
        "made": made.document(),
        "folder": str(exported.folder),
        "rows": exported.rows,
        "files": dict(exported.files),
        "notes": list(exported.notes),
    }


def _show(made: Harvest, exported: Exported) -> None:
    from foundry.cli.datasets.export import show_exported
    from foundry.report.format import duration, statuses

    kernels = sum(made.verified.values())
    click.echo(
        f"{kernels:,} verified kernels of {len(made.verified)} ops, "
        f"{sum(made.faults.values()):,} planted faults found ({statuses(made.faults)}); "
        f"{made.fresh:,} judged now, in {duration(made.elapsed_s)}"
    )
    show_exported(exported, as_json=False)
    note(f"next: foundry data verify {exported.folder / 'sft' / 'train.jsonl'} --sample 100")
