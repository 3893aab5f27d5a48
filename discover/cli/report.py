"""`discover report`: what a search found, how, and for how much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from foundry.cli import options
from foundry.cli.output import note, print_json, print_table

if TYPE_CHECKING:
    from discover.history.summary import Summary
    from foundry.store.records import NodeRecord


@click.command("report")
@click.argument("run", type=int, required=False, metavar="[RUN]")
@click.option("--tree", "show_tree", is_flag=True, help="Draw the search tree.")
@click.option("--why", is_flag=True, help="List every kernel that failed, with the reason.")
@options.user_code_options
@options.db_option
@options.json_option
@options.debug_option
def command(run: int | None, show_tree: bool, why: bool, db: str | None, as_json: bool) -> None:
    """Show what came of RUN, a search or an autorun; by default the latest."""
    from discover.history.runs import pick
    from discover.history.summary import document, summarise
    from foundry.store import Store

    with Store.open(db, read_only=True) as store:
        summaries = [summarise(store, found) for found in pick(store, run)]
        reasons = {s.run.id: _reasons(store, s) for s in summaries} if why or as_json else {}
    if as_json:
        print_json([{**document(s), "failures": reasons[s.run.id]} for s in summaries])
        return
    _show(summaries)
    for summary in summaries:
        if show_tree:
            _draw(summary)
        for failure in reasons.get(summary.run.id, ()):
            click.echo("{op}: {status} · {from} · {why}".format(op=summary.op, **failure))
    note("next: discover report --tree, discover report --why, foundry catalog build")


def _show(summaries: list[Summary]) -> None:
    from discover.history.summary import Spending, origin_label
    from discover.history.tables import COLUMNS, rows, short, spending_line
    from foundry.report.format import meaning

    print_table(COLUMNS, rows(summaries))
    for summary in summaries:
        if summary.best is not None:
            made_by = origin_label(summary.best.node)
            click.echo(f"{summary.op} {short(summary.best)} is from {made_by}")
    for said in dict.fromkeys(meaning(s.run.device.kind) for s in summaries if s.best):
        if said:
            click.echo(said)
    if line := spending_line(sum((s.spending for s in summaries), Spending())):
        click.echo(line)


def _reasons(store: Any, summary: Summary) -> list[dict[str, Any]]:
    from discover.history.summary import origin_label

    found = []
    for node in summary.nodes:
        if node.kernel_hash is None or node.reward is not None or node.state != "judged":
            continue
        evaluation = store.find_evaluation(node.kernel_hash, summary.run.device.id, summary.dtype)
        if evaluation is not None and not evaluation.status.passed:
            found.append(
                {
                    "kernel_hash": node.kernel_hash,
                    "status": str(evaluation.status),
                    "from": origin_label(node),
                    "why": evaluation.why,
                }
            )
    return found


def _draw(summary: Summary) -> None:
    """The tree on standard output, one node a line."""
    children: dict[int | None, list[NodeRecord]] = {}
    for node in summary.nodes:
        children.setdefault(node.parent, []).append(node)
    click.echo(f"\n{summary.op} {summary.dtype}, run {summary.run.id}")
    pending = [(node, 0) for node in reversed(children.get(None, []))]
    while pending:
        node, depth = pending.pop()
        click.echo(f"{'  ' * depth}{_node_line(node)}")
        pending += [(child, depth + 1) for child in reversed(children.get(node.id, []))]


def _node_line(node: NodeRecord) -> str:
    from discover.history.summary import origin_label

    value = (
        f"{node.reward:.2f}x" if node.reward is not None else node.detail.get("status", node.state)
    )
    return f"{node.id} {value} · {origin_label(node)}"
