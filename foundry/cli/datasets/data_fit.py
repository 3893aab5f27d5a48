"""`foundry data fit`: the rows of views that a model reads whole, for `foundry train`."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path

import click

from foundry.cli import options
from foundry.cli.output import note, print_json


@click.command("fit")
@click.argument(
    "data",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@click.option("--model", required=True, help="A folder, or a name on a hub, as mlx-lm takes it.")
@click.option(
    "--max-tokens",
    type=click.IntRange(8),
    default=2048,
    show_default=True,
    help="Of a row, prompt and answer together; longer ones are left out.",
)
@click.option(
    "--per-op",
    type=click.IntRange(1),
    help="Rows at most of one op in one task (write, improve, repair): the shortest.",
)
@options.output_option("runs/fitting")
@options.json_option
@options.debug_option
def command(
    data: tuple[Path, ...],
    model: str,
    max_tokens: int,
    per_op: int | None,
    output: Path,
    as_json: bool,
) -> None:
    """Gather the rows that a model reads whole in one folder for foundry train.

    DATA are folders of views with chats: sft, repair, or both. A row that is cut teaches an answer
    without its end, so longer ones are left out, and counted.
    """
    from foundry.training import fit

    found = fit(data, model, max_tokens, output, per_op)
    if as_json:
        document = {split: asdict(rows) for split, rows in found.items()}
        print_json({"folder": str(output), "splits": document})
        return
    for split, rows in found.items():
        click.echo(
            f"{output / split}.jsonl  {rows.kept:,} rows of up to {rows.longest:,} tokens, "
            f"{rows.left_out:,} left out"
        )
    quoted = shlex.join(["foundry", "train", str(output), "--model", model])
    note(f"next: {quoted} --max-tokens {max_tokens}")
