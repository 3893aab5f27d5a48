"""`foundry export-sft`: verified kernels as chats to train on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from foundry.cli import options
from foundry.cli.datasets import choosing

if TYPE_CHECKING:
    from foundry.datasets.choice import Choice


@click.command("export-sft")
@options.output_option("runs/sft")
@choosing.choice_options
@options.selection_options
@options.user_code_options
@options.db_option
@options.seed_option
@options.json_option
@options.debug_option
@choosing.choice_given
def command(
    output: Path,
    choice: Choice,
    ops: tuple[str, ...] | None,
    device_id: str | None,
    db: str | None,
    as_json: bool,
) -> None:
    """Write verified kernels as chats that mlx-lm and TRL read.

    The folder gets train.jsonl, valid.jsonl and test.jsonl, split by op family. The chats ask as
    discover search asks. No prompt holds anything that was learnt about its answer, and no kernel
    that any evaluation disproves is exported. foundry data build writes further views.
    """
    from foundry.cli.datasets.export import show_exported
    from foundry.cli.datasets.selecting import chosen
    from foundry.datasets import export_sft
    from foundry.store import Store

    with Store.open(db, read_only=True) as store:
        exported = export_sft(chosen(store, ops, device_id), store.origins(), output, choice)
    show_exported(exported, as_json)
