"""`discover ask`: a prompt and a ticket, for a coding agent or a person."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from discover.cli import options as own
from foundry.cli import options, parameters
from foundry.cli.app import command_line
from foundry.cli.output import note, print_json


@click.command("ask")
@click.argument("op", type=parameters.OP)
@click.option(
    "--dtype", type=parameters.DTYPE, default="float32", show_default=True, help="Element type."
)
@click.option(
    "--from",
    "kernel_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Kernel file of your own to start from as well.",
)
@options.bench_option
@own.strategy_options
@options.user_code_options
@options.language_option
@options.db_option
@options.searched_device_option
@own.unconfined_option
@options.seed_option
@options.json_option
@options.debug_option
@own.settings_given
def command(
    op: str,
    dtype: str,
    kernel_file: Path | None,
    given: dict[str, Any],
    db: str | None,
    device: str,
    as_json: bool,
) -> None:
    """Print a prompt for a better kernel of OP, and the ticket to answer it under.

    The first time, the kernels it starts from are judged. Answer with `discover tell`.
    """
    from discover.budget.limits import Limits
    from discover.cli.display import Lines
    from discover.search.desks import Desks
    from discover.search.settings import SearchRequest, SearchSettings
    from discover.search.workbench import workbench

    settings = SearchSettings(**{**given, "proposers": ("ask",)})
    request = SearchRequest(op, dtype, Limits(), command_line(), settings, kernel_file)
    with (
        workbench(db, device, options.default_workers(), settings.bench) as bench,
        Desks(bench, Lines()).of_search(request) as desk,
    ):
        ticket = desk.ask()
    if as_json:
        prompt = ticket.prompt
        print_json({"ticket": ticket.name, "system": prompt.system, "user": prompt.user})
        return
    click.echo(f"{ticket.prompt.system}\n{ticket.prompt.user}")
    click.echo(f"ticket: {ticket.name}")
    note(f"next: discover tell {ticket.name} FILE")
