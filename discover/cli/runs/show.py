"""`discover show`: one node of a search, with prompt, answer, verdict and diff."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from foundry.cli import options
from foundry.cli.output import note, print_json
from foundry.errors import UsageError, unknown

if TYPE_CHECKING:
    from discover.history.nodes import Seen


@click.command("show")
@click.argument("node")
@click.option("--prompt", is_flag=True, help="Print what was asked.")
@click.option("--answer", is_flag=True, help="Print the whole reply.")
@click.option("--text", is_flag=True, help="Print the kernel file alone.")
@options.user_code_options
@options.db_option
@options.json_option
@options.debug_option
def command(
    node: str, prompt: bool, answer: bool, text: bool, db: str | None, as_json: bool
) -> None:
    """Show NODE of a search: `7` of the latest, or `12.7` of run 12; a ticket is one."""
    from discover.history.nodes import look
    from discover.history.runs import pick_one
    from discover.history.summary import summarise
    from foundry.store import Store

    run, _, number = node.rpartition(".")
    if not number.isdecimal() or (run and not run.isdecimal()):
        raise UsageError(f"'{node}' is no node; name one as 7 or as 12.7")
    with Store.open(db, read_only=True) as store:
        found = pick_one(store, int(run) if run else None)
        seen = {one.node.id: one for one in look(store, summarise(store, found))}
    if int(number) not in seen:
        raise unknown(f"node of run {found.id}", number, map(str, seen))
    one = seen[int(number)]
    if as_json:
        print_json(one.document())
    elif prompt or answer or text:
        chosen = ((prompt, one.prompt), (answer, one.answer), (text, one.text))
        click.echo("\n".join(said for wanted, said in chosen if wanted))
    else:
        _show(one, found.id)


def _show(one: Seen, run_id: int) -> None:
    node = one.node
    came = "a root" if node.parent is None else f"from node {node.parent}"
    click.echo(f"node {run_id}.{node.id}, {came}, by {one.label}")
    click.echo(f"{one.status}: {one.why}" if one.why else one.status)
    if one.words:
        click.echo(f"its author: {one.words}")
    if one.diff:
        click.echo(f"\n{one.diff}")
    elif one.text:
        click.echo(f"\n{one.text.rstrip()}")
    for call in one.calls:
        click.echo(f"call {call.id}: {call.state} {call.error or ''}".rstrip())
    note(f"next: discover show {run_id}.{node.id} --prompt, --answer, --text")
