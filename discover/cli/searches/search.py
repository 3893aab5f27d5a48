"""`discover search`: search one op for a faster kernel."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from discover.cli import options as own
from foundry.cli import options, parameters
from foundry.cli.app import command_line
from foundry.cli.output import note, print_json, print_table

if TYPE_CHECKING:
    from discover.history.summary import Summary
    from discover.search.settings import SearchRequest
    from discover.search.task import Outcome

DEFAULT_EVALUATIONS = 40


@click.command("search")
@click.argument("op", type=parameters.OP)
@click.option(
    "--dtype", type=parameters.DTYPE, default="float32", show_default=True, help="Element type."
)
@own.proposer_options
@own.budget_options
@options.bench_option
@click.option(
    "--from",
    "kernel_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Kernel file of your own to start from as well.",
)
@click.option("--from-scratch", is_flag=True, help="Leave the winners of earlier runs aside.")
@click.option(
    "--exploration",
    type=parameters.Number(0, 100),
    default=1.0,
    show_default=True,
    help="The constant c of PUCT: higher tries more kernels, lower digs deeper.",
)
@click.option(
    "--counters/--no-counters",
    default=True,
    help="Tell LLMs what the SIMD-groups of a kernel do to memory.",
)
@own.strategy_options
@own.worker_options
@options.user_code_options
@options.language_option
@options.db_option
@options.searched_device_option
@options.seed_option
@options.json_option
@options.debug_option
@own.settings_given
def command(
    op: str,
    dtype: str,
    given: dict[str, Any],
    pricing: Path | None,
    evaluations: int | None,
    seconds: float | None,
    tokens: int | None,
    usd: float | None,
    kernel_file: Path | None,
    from_scratch: bool,
    workers: int | None,
    db: str | None,
    device: str,
    as_json: bool,
) -> None:
    """Search for a faster kernel of OP.

    A tree of kernels grows from the templates of the op and the winners of earlier runs; every
    kernel is judged before it counts. The same command takes up a search that was cut short:
    nothing is judged or paid for twice.
    """
    from discover.budget.limits import Limits
    from discover.search.settings import SearchRequest, SearchSettings

    if not any((evaluations, seconds, tokens, usd)):
        evaluations = DEFAULT_EVALUATIONS
    request = SearchRequest(
        op,
        dtype,
        Limits(evaluations, seconds, tokens, usd),
        command_line(),
        SearchSettings(**given),
        kernel_file,
        from_scratch,
    )
    outcome, summary = _run(request, db, device, workers or options.default_workers(), pricing)
    if as_json:
        print_json(_document(outcome, summary))
    else:
        _show(outcome, summary)
    if outcome.broken:
        from foundry.errors import EnvironmentUnusable

        raise EnvironmentUnusable(outcome.broken + ".", "Mend it, then run the same command again.")


def _run(
    request: SearchRequest, db: str | None, device: str, workers: int, pricing: Path | None
) -> tuple[Outcome, Summary]:
    from discover.budget.pricing import load
    from discover.calls.checking import check
    from discover.calls.roster import seats_of
    from discover.cli.display import SearchDisplay
    from discover.history.summary import summarise
    from discover.proposers.registry import proposers_of
    from discover.search.session import checked_op, estimates, judged_before, run_search
    from discover.search.workbench import workbench
    from foundry.report.display import open_display

    checked_op(request)
    settings = request.settings
    with ExitStack() as stack:
        proposers = stack.enter_context(proposers_of(settings.proposers, settings))
        # Money comes first: no server is asked for a search that could not keep its limit.
        seats_of(proposers, load(pricing), request.limits, settings)
        check(proposers)
        bench = stack.enter_context(workbench(db, device, workers, settings.bench, pricing))
        if line := own.offline_note(settings.proposers):
            note(line)
        for line in estimates(bench, request, proposers, judged_before(bench, request)):
            note(line)
        where = bench.seat.device.name
        title = f"discover search · {request.name} · {where} · {_limits(request)}"
        with open_display(title) as display:
            shown = SearchDisplay(display, (request.name,), request.limits)
            outcome = run_search(bench, request, proposers, shown)
            shown.done(request.name)
        (run,) = bench.store.runs(outcome.run_id)
        return outcome, summarise(bench.store, run)


def _limits(request: SearchRequest) -> str:
    limits = request.limits
    parts = [
        f"{limits.evaluations} evaluations" if limits.evaluations is not None else "",
        f"{limits.seconds:g} s" if limits.seconds is not None else "",
        f"{limits.tokens:,} tokens" if limits.tokens is not None else "",
        f"${limits.usd:.2f}" if limits.usd is not None else "",
        f"seed {request.settings.seed}",
    ]
    return ", ".join(part for part in parts if part)


def _document(outcome: Outcome, summary: Summary) -> dict[str, object]:
    from discover.history.summary import document

    return {
        **document(summary),
        "ended": outcome.reason,
        "by_budget": outcome.by_budget,
        "broken": outcome.broken,
        "away_s": dict(outcome.away_s),
    }


def _show(outcome: Outcome, summary: Summary) -> None:
    from discover.history.tables import spending_line, table
    from foundry.report.format import duration

    print_table(*table([summary]))
    if line := spending_line(summary.spending):
        click.echo(line)
    note(f"ended: {outcome.reason}")
    for who, seconds in outcome.away_s.items():
        note(f"{who} was away for {duration(seconds)}")
    if outcome.by_budget:
        note("a larger budget goes on from here: the same command with it")
    if chip := own.chip_of(summary):
        note(own.time_it_there(chip, summary.op, summary.dtype))
        return
    best = summary.best.evaluation.kernel_hash[:8] if summary.best else "HASH"
    note(
        f"next: discover report {outcome.run_id}, foundry report --kernel {best}, "
        "foundry catalog build"
    )
