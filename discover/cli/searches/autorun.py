"""`discover autorun`: search several ops from a recipe, then write what was found."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from discover.cli import options as own
from foundry.cli import options, parameters
from foundry.cli.app import command_line
from foundry.cli.output import note, print_json, print_table

if TYPE_CHECKING:
    from discover.autorun.autorun import Autorun
    from discover.autorun.elsewhere import BothMachines
    from discover.autorun.products import Written
    from discover.autorun.recipe import Recipe
    from discover.protocol import Proposer
    from discover.search.workbench import Workbench
    from foundry.catalog.runtime.tuning.from_model import ModelShape


@click.command("autorun")
@click.argument("recipe", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--from-model",
    metavar="CONFIG|DIR",
    type=click.Path(exists=True, path_type=Path),
    help="Search the ops of a model instead of the recipe's: its config.json, or its folder. Their "
    "shares of a step and what each can gain are printed first. The recipe's bench and weights are "
    "left aside; shapes that it names stay.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for dataset, catalog and report.  [default: runs/NAME of the recipe]",
)
@click.option("--ops", type=parameters.OPS, help="Only these ops instead of the recipe's.")
@own.proposer_options
@own.strategy_options
@own.worker_options
@options.user_code_options
@options.language_option
@options.db_option
@click.option(
    "--device",
    type=parameters.SEARCHED_DEVICE,
    envvar="FOUNDRY_DEVICE",
    show_envvar=True,
    metavar=parameters.SEARCHED_METAVAR,
    help="Where kernels run.  [default: the recipe's]",
)
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="Seed.  [default: the recipe's]")
@options.json_option
@options.debug_option
@own.settings_given
def command(
    recipe: Path | None,
    from_model: Path | None,
    output: Path | None,
    ops: tuple[str, ...] | None,
    given: dict[str, Any],
    pricing: Path | None,
    workers: int | None,
    db: str | None,
    device: str | None,
    as_json: bool,
) -> None:
    """Search every op of RECIPE, then write dataset, catalog wheel and report.

    With --from-model, RECIPE is optional, and evaluations go where the whole model gains most: an
    op stops once it is at its roofline, or when nothing better comes. The same command takes up an
    autorun that was cut short.
    """
    place = {"ops": ops, "device": device}
    given |= {name: value for name, value in place.items() if value is not None}
    asked = _recipe(recipe, from_model).model_copy(update=given)
    folder = output or Path("runs") / asked.name
    shape = None
    if from_model is not None:
        from discover.autorun.models import given_way, ops_of, read_model

        shape = read_model(from_model)
        names = ops or ops_of(shape, asked.dtypes[0])
        for line in given_way(asked):
            note(line)
        # Of a model's shapes all are timed that are chosen at all.
        asked = asked.model_copy(update={"ops": names, "bench": "full"})
    done, written, lost, both = _run(
        asked, shape, folder, db, workers or options.default_workers(), pricing
    )
    if as_json:
        print_json({**_document(done, written, lost), **(both.document() if both else {})})
    else:
        _show(done, written)
        if both is not None:
            _show_both(both)
    if done.broken:
        from foundry.errors import EnvironmentUnusable

        raise EnvironmentUnusable(done.broken + ".", "Mend it, then run the same command again.")
    if lost:
        from foundry.errors import FoundryError

        raise FoundryError(
            f"not written, as is told above: {', '.join(lost)}; the database holds all that was "
            "found: foundry catalog build and foundry data build make products of it"
        )


def _recipe(recipe: Path | None, from_model: Path | None) -> Recipe:
    """The recipe of the file; without one, a plain one for the ops of a model."""
    from discover.autorun.models import plain_recipe
    from discover.autorun.recipe import Recipe
    from discover.recipes import read

    if recipe is not None:
        return read(recipe, Recipe)
    if from_model is None:
        raise click.UsageError("give a RECIPE, or a model with --from-model CONFIG|DIR")
    return plain_recipe(from_model)


def _run(
    recipe: Recipe,
    shape: ModelShape | None,
    folder: Path,
    db: str | None,
    workers: int,
    pricing: Path | None,
) -> tuple[Autorun, list[Written], list[str], BothMachines | None]:
    from discover.autorun.autorun import check_recipe, run_autorun
    from discover.autorun.elsewhere import search_elsewhere
    from discover.autorun.products import write_products
    from discover.budget.pricing import load
    from discover.cli.display import SearchDisplay
    from discover.proposers.registry import proposers_of
    from discover.search.workbench import workbench
    from foundry.report.display import open_display

    names = tuple(f"{op} {dtype}" for op, dtype in recipe.tasks())
    with ExitStack() as stack:
        proposers = stack.enter_context(proposers_of(recipe.proposers, recipe))
        check_recipe(recipe, proposers, load(pricing))
        bench = stack.enter_context(workbench(db, recipe.device, workers, recipe.bench, pricing))
        if line := own.offline_note(recipe.proposers):
            note(line)
        if shape is not None:
            recipe = _weighed(recipe, shape, bench)
        for line in (*_unused(recipe), *_estimates(recipe, bench, proposers)):
            note(line)
        title = f"discover autorun {recipe.name} · {bench.seat.device.name} · seed {recipe.seed}"
        with open_display(title) as display:
            shown = SearchDisplay(display, names, recipe.whole())
            done = run_autorun(bench, recipe, command_line(), proposers, shown, shown.done)
            written, lost = write_products(
                bench, done.summaries, recipe.products, folder, display.event
            )
            # A display of its own: the same names, and none of the money that was spent before.
            shown = SearchDisplay(display, names, recipe.whole())
            both = search_elsewhere(bench, done, proposers, shown, command_line())
        return done, written, lost, both


def _unused(recipe: Recipe) -> list[str]:
    """Shapes of ops that are not searched."""
    searched = {op for op, _ in recipe.tasks()}
    names = ", ".join(op for op in recipe.shapes if op not in searched)
    return [f"[shapes] of ops that are not searched: {names}"] if names else []


def _estimates(recipe: Recipe, bench: Workbench, proposers: Sequence[Proposer]) -> list[str]:
    """What the calls of all searches will cost."""
    from discover.autorun.autorun import judged_before
    from discover.search.session import estimates
    from discover.search.settings import SearchRequest

    tasks = recipe.tasks()
    shapes = recipe.shapes_of(tasks[0][0])
    first = SearchRequest(*tasks[0], recipe.whole(), "", recipe, shapes=shapes)
    return estimates(bench, first, proposers, judged_before(bench, recipe), len(tasks))


def _weighed(recipe: Recipe, shape: ModelShape, bench: Workbench) -> Recipe:
    """The recipe with share and shapes of each op, which are told before anything is spent."""
    from discover.autorun.models import COLUMNS, of_model, rates, rows, shapes_of, shares_of
    from foundry.report.table import table

    gb_s, gflops = rates(bench.seat)
    found = shares_of(shape, recipe.dtypes[0], gb_s, gflops)
    note(f"one step by bytes and FLOPs, at {gb_s:.3g} GB/s and {gflops:.4g} GFLOP/s:")
    note(table(COLUMNS, rows(found), None))
    if foreign := [op for op in recipe.ops if op not in {one.op for one in found}]:
        note(f"not searched, for the model does not call them: {', '.join(foreign)}")
    asked = {one.op: one.decode for one in found if one.op in recipe.ops}
    chosen = shapes_of(shape, recipe.dtypes[0], gb_s, gflops)
    timed = {op: chosen[op] for op in asked if op in chosen}
    return of_model(recipe, shape, asked, timed)


def _document(done: Autorun, written: list[Written], lost: list[str]) -> dict[str, Any]:
    from discover.history.summary import document

    return {
        "run_id": done.run_id,
        "resumed": done.resumed,
        "broken": done.broken,
        "searches": [document(summary) for summary in done.summaries],
        "products": [
            {"kind": product.kind, "path": str(product.path), "note": product.note}
            for product in written
        ],
        "lost": lost,
    }


def _show_both(both: BothMachines) -> None:
    from discover.autorun.elsewhere import columns
    from foundry.report.format import meaning
    from foundry.report.predicted import MODEL

    click.echo()
    print_table(columns(both), [row.cells() for row in both.rows])
    click.echo(meaning(MODEL))


def _show(done: Autorun, written: list[Written]) -> None:
    from discover.history.summary import Spending
    from discover.history.tables import spending_line, table

    print_table(*table(done.summaries))
    if line := spending_line(sum((s.spending for s in done.summaries), Spending())):
        click.echo(line)
    for product in written:
        click.echo(
            f"{product.kind}: {product.path}" + (f" ({product.note})" if product.note else "")
        )
    wheel = next((p.path for p in written if p.kind == "catalog"), None)
    note(f"next: discover report {done.run_id} --tree")
    for summary in done.summaries:
        if chip := own.chip_of(summary):
            note(own.time_it_there(chip, summary.op, summary.dtype))
    note("next: foundry report --top 3")
    if wheel is not None:
        note(f"next: pip install {wheel}")
