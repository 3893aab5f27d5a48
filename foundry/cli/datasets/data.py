"""`foundry data build|fit|verify`: a whole dataset, and whether one is still right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foundry.cli import options, parameters
from foundry.cli.app import LazyGroup
from foundry.cli.datasets import choosing
from foundry.cli.failures import FAILED
from foundry.cli.output import note, print_json
from foundry.errors import UsageError

if TYPE_CHECKING:
    from foundry.datasets.choice import Choice
    from foundry.datasets.verifying import Checked

_VIEW_NAMES = ("sft", "repair", "preference", "explain", "completion")


@click.group(
    cls=LazyGroup,
    lazy={"fit": "foundry.cli.datasets.data_fit:command"},
    help="Make a dataset of what was judged; judge one again; gather what a model reads whole.",
)
def command() -> None:
    """Group of the data commands."""


@command.command("build")
@options.output_option("runs/dataset")
@click.option(
    "--views",
    type=parameters.Names("view", lambda: _VIEW_NAMES),
    help=f"Views beside the attempts, comma-separated.  [default: {','.join(_VIEW_NAMES)}]",
)
@choosing.choice_options
@options.selection_options
@options.user_code_options
@options.db_option
@options.seed_option
@options.json_option
@options.debug_option
@choosing.choice_given
def build(
    output: Path,
    views: tuple[str, ...] | None,
    choice: Choice,
    ops: tuple[str, ...] | None,
    device_id: str | None,
    db: str | None,
    as_json: bool,
) -> None:
    """Write the canonical table of attempts and its views, with a card.

    Every table has train, valid and test, split by op family; nothing in one split is nearly the
    same as anything in another. Views hold kernels that were proven right and that the sanitizer
    watched on every size. The card counts what was left out, and says why.
    """
    from foundry.cli.datasets.export import show_exported
    from foundry.cli.datasets.selecting import chosen
    from foundry.datasets.export import export_dataset
    from foundry.store import Store

    with Store.open(db, read_only=True) as store:
        found = list(chosen(store, ops, device_id))
        exported = export_dataset(
            found, store.origins(), output, choice, views=views or _VIEW_NAMES
        )
    show_exported(exported, as_json)


@command.command("verify")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--sample", type=click.IntRange(1), help="Only so many rows, drawn.  [default: all]")
@click.option(
    "--workers",
    type=click.IntRange(1, options.MOST_WORKERS),
    help="Kernels in flight.  [default: one per core, 2 to 8]",
)
@options.user_code_options
@options.language_option
@options.device_option
@options.seed_option
@options.json_option
@options.debug_option
def verify(
    file: Path, sample: int | None, workers: int | None, device: str, seed: int, as_json: bool
) -> int:
    """Judge the kernels of a dataset again, on inputs drawn now.

    FILE is a .jsonl or .parquet file of foundry data build, export or export-sft. A kernel that a
    row calls right must pass, one that it calls broken must fail; what was timed is not timed
    again. Rows are also searched for paths, keys and hidden sizes. Exit code 1 when a row is wrong.
    A file of an export that was changed since is named.
    """
    from foundry.datasets import verifying
    from foundry.datasets.rows import read_rows
    from foundry.datasets.stated import is_as_exported
    from foundry.harness.processes.pool import WorkerPool
    from foundry.judge import Judge, JudgeOptions

    rows = verifying.sampled(read_rows(file), sample, seed)
    if not rows:
        raise UsageError(f"{file} holds no rows: nothing of it can be verified")
    leaking = verifying.leaking(rows, verifying.timed_by_request(file))
    count = workers or options.default_workers()
    done: list[Checked] = []
    with WorkerPool(device, count) as pool:
        judge = Judge(pool, JudgeOptions(timed=False))
        for one in verifying.check(rows, judge, count):
            done.append(one)
            if not one.holds:
                said = one.document()
                note(f"{said['row']}: called {said['claimed']}, is {said['status']} {said['why']}")
    wrong = [one.document() for one in done if not one.holds]
    for name, what in leaking.items():
        note(f"{name}: holds {', '.join(what)}")
    as_exported = is_as_exported(file)
    if as_exported is False:
        note(
            f"{file} was changed after it was exported (metadata.json has another SHA-256): "
            "authors, licences, gains and methods of its rows cannot be judged again"
        )
    _show(len(rows), len(done), wrong, leaking, as_exported, as_json)
    return FAILED if wrong or leaking else 0


def _show(
    rows: int,
    kernels: int,
    wrong: list[dict[str, Any]],
    leaking: dict[str, list[str]],
    as_exported: bool | None,
    json: bool,
) -> None:
    if json:
        document = {"rows": rows, "kernels": kernels, "wrong": wrong, "leaking": leaking}
        print_json(document | {"as_exported": as_exported})
        return
    click.echo(
        f"{rows:,} rows, {kernels:,} kernels judged again: "
        f"{len(wrong)} wrong, {len(leaking)} leaking"
    )
