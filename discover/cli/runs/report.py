"""`discover report`: what a search found, how, and for how much."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foundry.cli import options
from foundry.cli.output import note, print_json, print_table

if TYPE_CHECKING:
    from discover.history.nodes import Seen
    from discover.history.summary import Summary
    from foundry.store import Store


_CHANGE = 72


@click.command("report")
@click.argument("run", type=int, required=False, metavar="[RUN]")
@click.option("--tree", "show_tree", is_flag=True, help="Draw the search tree.")
@click.option(
    "--html",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write one self-contained page to this file.",
)
@click.option(
    "--md", type=click.Path(dir_okay=False, path_type=Path), help="Write Markdown to this file."
)
@click.option("--why", is_flag=True, help="List every kernel that failed, with the reason.")
@options.user_code_options
@options.db_option
@options.json_option
@options.debug_option
def command(
    run: int | None,
    show_tree: bool,
    html: Path | None,
    md: Path | None,
    why: bool,
    db: str | None,
    as_json: bool,
) -> None:
    """Show what came of RUN, a search or an autorun; by default the latest."""
    from discover.history.nodes import look
    from discover.history.runs import pick
    from discover.history.summary import summarise
    from foundry.store import Store

    with Store.open(db, read_only=True) as store:
        summaries = [summarise(store, found) for found in pick(store, run)]
        reasons = {s.run.id: _reasons(store, s) for s in summaries} if why or as_json else {}
        trees = {s.run.id: list(look(store, s)) for s in summaries} if show_tree else {}
        if html or md:
            _write(store, summaries, html, md)
    if as_json:
        print_json([_document(s, reasons[s.run.id], trees.get(s.run.id)) for s in summaries])
        return
    _show(summaries)
    for summary in summaries:
        if show_tree:
            _draw(summary, trees[summary.run.id])
        for failure in reasons.get(summary.run.id, ()):
            click.echo("{op}: {status} · {from} · {why}".format(op=summary.op, **failure))
    note("next: discover report --html FILE, --tree, --why; foundry catalog build")


def _write(store: Store, summaries: list[Summary], html: Path | None, md: Path | None) -> None:
    from discover.pages.html import page
    from discover.pages.markdown import markdown
    from discover.pages.story import gather
    from foundry.datasets.files import write_text

    stories = [gather(store, summary) for summary in summaries]
    names = ", ".join(dict.fromkeys(story.summary.op for story in stories))
    title = f"Search of {names}" if len(names) < 60 else f"Search of {len(stories)} ops"
    for path, make in ((html, page), (md, markdown)):
        if path is not None:
            write_text(path, make(stories, title))
            note(f"wrote {path}")


def _document(
    summary: Summary, failures: list[dict[str, Any]], tree: list[Seen] | None
) -> dict[str, Any]:
    from discover.history.summary import document

    found = {**document(summary), "failures": failures}
    return found if tree is None else {**found, "tree": [one.document() for one in tree]}


def _show(summaries: list[Summary]) -> None:
    from discover.history.summary import Spending, origin_label
    from discover.history.tables import short, spending_line, table
    from foundry.report.format import meaning

    print_table(*table(summaries))
    for summary in summaries:
        for found in summary.front or (summary.best,):
            if found is not None:
                click.echo(f"{summary.op} {short(found)} is from {origin_label(found.node)}")
    shown = (s for s in summaries if s.best or s.front)
    for said in dict.fromkeys(meaning(s.run.device.kind) for s in shown):
        if said:
            click.echo(said)
    for said in filter(None, (summary.outdated for summary in summaries)):
        click.echo(said)
    if line := spending_line(sum((s.spending for s in summaries), Spending())):
        click.echo(line)


def _reasons(store: Any, summary: Summary) -> list[dict[str, Any]]:
    from discover.history.reasons import reason
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
                    "why": reason(evaluation),
                }
            )
    return found


def _draw(summary: Summary, tree: list[Seen]) -> None:
    """The tree on standard output, one node a line."""
    children: dict[int | None, list[Seen]] = {}
    for one in tree:
        children.setdefault(one.node.parent, []).append(one)
    best = summary.best.node.id if summary.best else None
    click.echo(f"\n{summary.op} {summary.dtype}, run {summary.run.id}")
    pending = [(one, 0) for one in reversed(children.get(None, []))]
    while pending:
        one, depth = pending.pop()
        click.echo(f"{'  ' * depth}{_line(one)}{'  <- best' if one.node.id == best else ''}")
        pending += [(child, depth + 1) for child in reversed(children.get(one.node.id, []))]


def _line(one: Seen) -> str:
    """Number, hash, time, status, and the change in a few words."""
    from foundry.report.format import latency

    digest = (one.node.kernel_hash or "-")[:8]
    time = f"{latency(one.kernel_us)} us " if one.kernel_us is not None else ""
    said = " ".join((one.words or one.label).split())
    change = said if len(said) <= _CHANGE else said[: _CHANGE - 1] + "…"
    return f"{one.node.id} {digest} {time}{one.status} · {change}"
