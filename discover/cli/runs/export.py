"""`discover export`: a search as files: its tree, its replies, its best kernel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foundry.cli import options, parameters
from foundry.cli.output import note, print_json
from foundry.errors import UsageError

if TYPE_CHECKING:
    from discover.history.summary import Summary
    from foundry.store import Store
    from foundry.store.records import RunRecord

_FORMATS = ("tree", "replay", "best")


@click.command("export")
@click.argument("run", type=int, required=False, metavar="[RUN]")
@click.option(
    "--what",
    type=parameters.Name("export", lambda: _FORMATS),
    default="tree",
    show_default=True,
    metavar="|".join(_FORMATS),
    help="tree: every kernel with its parent and evaluation, as JSON Lines; replay: the LLM's "
    "replies, for --llm replay:FILE; best: the best kernel's file.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write.  [default: standard output]",
)
@options.user_code_options
@options.db_option
@options.json_option
@options.debug_option
def command(run: int | None, what: str, output: Path | None, db: str | None, as_json: bool) -> None:
    """Export RUN, a search; by default the latest."""
    from discover.history.runs import pick
    from foundry.store import Store

    with Store.open(db, read_only=True) as store:
        found = pick(store, run)
        if len(found) != 1:
            numbers = ", ".join(str(one.id) for one in found) or "none"
            raise UsageError(f"that autorun has several searches ({numbers}); name one of them")
        text = {"tree": _tree, "replay": _replay, "best": _best}[what](store, found[0])
    if output is None:
        if as_json:
            raise UsageError("--json tells what was written: give -o FILE")
        click.echo(text, nl=False)
        return
    _write(output, text)
    lines = text.count("\n")
    if as_json:
        print_json({"run_id": found[0].id, "what": what, "file": str(output), "lines": lines})
    else:
        note(f"wrote {output}: {lines} lines")


def _tree(store: Store, run: RunRecord) -> str:
    from discover.history.summary import summarise

    summary = summarise(store, run)
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in _rows(store, summary))


def _rows(store: Store, summary: Summary) -> list[dict[str, Any]]:
    rows = []
    for node in summary.nodes:
        evaluation = None
        if node.kernel_hash and node.state == "judged":
            evaluation = store.find_evaluation(
                node.kernel_hash, summary.run.device.id, summary.dtype
            )
        rows.append(
            {
                "run_id": summary.run.id,
                "node": node.id,
                "parent": node.parent,
                "proposer": node.proposer,
                "state": node.state,
                "reward": node.reward,
                "visits": node.visits,
                "origin": node.detail.get("origin"),
                "kernel_hash": node.kernel_hash,
                "kernel": store.kernel_text(evaluation.kernel_hash) if evaluation else None,
                "evaluation": evaluation.model_dump(mode="json") if evaluation else None,
            }
        )
    return rows


def _replay(store: Store, run: RunRecord) -> str:
    from discover.proposers.replay import write_line
    from foundry.store.records import CallState

    calls = [call for call in store.calls(run.id) if call.state is CallState.DONE]
    if not calls:
        raise UsageError(f"run {run.id} has no LLM replies to export")
    return "".join(f"{write_line(call.response['text'], call.tokens)}\n" for call in calls)


def _best(store: Store, run: RunRecord) -> str:
    from discover.history.summary import summarise

    best = summarise(store, run).best
    if best is None:
        raise UsageError(f"run {run.id} has no kernel that passed and was timed")
    return store.kernel_text(best.evaluation.kernel_hash)


def _write(path: Path, text: str) -> None:
    """Write a file in one step, so that a reader never sees half of it."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
