"""`discover tell`: judge the answer to a ticket."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

import click

from discover.cli import options as own
from foundry.cli import options
from foundry.cli.output import note, print_json
from foundry.errors import UsageError

if TYPE_CHECKING:
    from discover.search.desk import Told

REJECTED = 4
"""Exit code when no kernel of the answer passed."""


@click.command("tell")
@click.argument("ticket")
@click.argument("answer", type=click.File(encoding="utf-8"), metavar="FILE")
@options.user_code_options
@options.language_option
@options.db_option
@options.searched_device_option
@own.unconfined_option
@options.json_option
@options.debug_option
def command(ticket: str, answer: IO[str], db: str | None, device: str, as_json: bool) -> int:
    """Judge FILE, the answer to TICKET (`-` reads standard input), and print the verdict.

    FILE is a kernel file, or a whole reply with one or several of them in fences.
    """
    from discover.cli.display import Lines
    from discover.search.desk import parts
    from discover.search.desks import Desks, ticketed
    from discover.search.workbench import workbench
    from foundry.store import Store

    run_id, node_id = parts(ticket)
    try:
        text = answer.read()
    except UnicodeDecodeError as error:
        raise UsageError(f"the answer is no UTF-8 text ({error.reason})") from error
    with Store.open(db, read_only=True) as store:
        timed = ticketed(store, run_id).settings["bench"]
    with (
        workbench(db, device, options.default_workers(), timed) as bench,
        Desks(bench, Lines()).of_ticket(run_id) as desk,
    ):
        told = desk.tell(node_id, text)
    if as_json:
        print_json([one.document() for one in told])
    for one in [] if as_json else told:
        click.echo(f"{one.name} {line(one)}")
    note(f"next: discover ask OP, discover show {ticket}, discover report {run_id} --tree")
    passed = any(one.evaluation and one.evaluation.status.passed for one in told)
    return 0 if passed else REJECTED


def line(told: Told) -> str:
    """The verdict in one line."""
    from discover.history.reasons import reason

    if told.evaluation is None:
        return told.state
    verdict = f"{told.evaluation.status}: {reason(told.evaluation)}"
    return verdict if told.first is None else f"the same kernel as {told.first}, {verdict}"
