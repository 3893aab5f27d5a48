"""`foundry run`: sample template variants, judge them, keep every result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from foundry.cli import options, parameters
from foundry.cli.app import command_line
from foundry.cli.failures import FAILED
from foundry.cli.output import note, print_json, print_table
from foundry.errors import UsageError
from foundry.report.predicted import MODEL
from ops.dtypes import FLOAT_DTYPES

if TYPE_CHECKING:
    from foundry.run.session import RunResult

_STRATEGIES = ("mix", "coverage", "random", "mutation", "cross-entropy")
_DEFAULT_BUDGET = 40
_FRUITLESS = "no kernel passed: `foundry report` says why, `foundry doctor` checks this machine"
_POINTS = 21
"""Points of a template where all templates are proven: the default and 20 others."""


@click.command("run")
@click.option(
    "--ops",
    type=parameters.OPS,
    help="Ops, comma-separated.  [default: every op that has a template]",
)
@click.option("--all", "every", is_flag=True, help="Every op that has a template, in every dtype.")
@click.option(
    "--coverage",
    "points",
    type=click.IntRange(1),
    is_flag=False,
    flag_value=_POINTS,
    metavar="[N]",
    help="Prove N points of each template, dealt to its dtypes, the default and every knob value "
    "first, op by op, and time none. Of sizes that are compiled in, each point is proven at two, "
    "and all points together at nearly all.  "
    f"[default: {_POINTS}]",
)
@click.option(
    "--dtype",
    "dtypes",
    type=parameters.DTYPE_LIST,
    default="float32",
    show_default=True,
    help="Element types, comma-separated.",
)
@click.option(
    "--strategy",
    type=parameters.Name("strategy", lambda: _STRATEGIES),
    default="mix",
    show_default=True,
    metavar="|".join(_STRATEGIES),
    help="coverage: every knob value soon; random: any point; mutation: one step from the best; "
    "cross-entropy: values as the best have them; mix: all in turn.",
)
@click.option(
    "--curriculum",
    is_flag=True,
    help="Easy ops first (tiers 1 to 5); a tier ends where nothing more is won.",
)
@click.option(
    "--budget",
    type=click.IntRange(1),
    help=f"Kernels in all, those judged before included.  [default: {_DEFAULT_BUDGET}, "
    "or none with --time]",
)
@click.option(
    "--time",
    "time_s",
    type=parameters.DURATION,
    help="Start nothing after this long: 90s, 5m, 1.5h.",
)
@click.option(
    "--template",
    "template_names",
    type=parameters.TEMPLATES,
    help="Only these templates, comma-separated.",
)
@click.option(
    "--knob",
    "knobs",
    multiple=True,
    metavar="NAME=VALUE",
    help="Hold a knob at a value (repeatable).",
)
@options.bench_option
@click.option(
    "--workers",
    type=click.IntRange(1, options.MOST_WORKERS),
    default=None,
    help="Kernels in flight; timing runs alone all the same.  [default: one per core, 2 to 8]",
)
@options.user_code_options
@options.language_option
@options.db_option
@options.searched_device_option
@options.seed_option
@options.json_option
@options.debug_option
def command(
    ops: tuple[str, ...] | None,
    every: bool,
    points: int | None,
    dtypes: tuple[str, ...],
    strategy: str,
    curriculum: bool,
    budget: int | None,
    time_s: float | None,
    template_names: tuple[str, ...] | None,
    knobs: tuple[str, ...],
    bench: str,
    workers: int | None,
    db: str | None,
    device: str,
    seed: int,
    as_json: bool,
) -> int:
    """Judge template variants of ops, and keep every result.

    The variants and their order follow from the seed. One that was judged on this device before
    is not judged again, so the same command continues what was interrupted, and a larger --budget
    goes further. Exit code 1 when no kernel passed; with --coverage, when one did not.
    """
    from foundry.run.session import RunRequest, execute

    if every and ops:
        raise UsageError("--all and --ops exclude each other; give one of them")
    if curriculum and points:
        raise UsageError("--curriculum goes by what is won, and --coverage times nothing; omit one")
    request = RunRequest(
        ops=ops or _ops_with_templates(),
        dtypes=FLOAT_DTYPES if every else dtypes,
        templates=template_names or (),
        knobs=_knobs(knobs),
        strategy=strategy if points is None else "coverage",
        bench=bench,
        budget=budget if budget or time_s or points else _DEFAULT_BUDGET,
        time_s=time_s,
        seed=seed,
        workers=workers or options.default_workers(),
        device=device,
        db=db,
        command=command_line(),
        points=points,
        curriculum=curriculum,
    )
    result = execute(request)
    if as_json:
        print_json(_document(result))
    elif points is None and result.device.kind == MODEL:
        _show_predicted(result)
    elif points is None:
        _show(result)
    else:
        _show_proven(result)
    failed = result.tally.fruitless if points is None else result.tally.refused > 0
    return FAILED if failed else 0


def _ops_with_templates() -> tuple[str, ...]:
    from templates.registry import all_templates

    return tuple(dict.fromkeys(template.op for template in all_templates().values()))


def _knobs(texts: tuple[str, ...]) -> dict[str, str]:
    knobs: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise UsageError(f"--knob {text}: write NAME=VALUE, such as --knob threads=64")
        knobs[name] = value
    return knobs


def _document(result: RunResult) -> dict[str, object]:
    return {
        "run_id": result.run_id,
        "device": {
            "id": result.device.id,
            "kind": result.device.kind,
            "name": result.device.name,
        },
        "new": result.tally.fresh,
        "known": result.tally.known,
        "elapsed_s": round(result.elapsed_s, 3),
        "tasks": [task.document() for task in result.tally.tasks],
    }


def _show_proven(result: RunResult) -> None:
    """What was refused, and how many were proven."""
    from foundry.report.format import count, duration, statuses
    from foundry.report.table import Column

    refused = [t for t in result.tally.tasks if not {"correct", "faster"} >= t.statuses.keys()]
    if refused:
        columns = [Column("op"), Column("dtype"), Column("statuses", elastic=True)]
        print_table(columns, [[t.op, t.dtype, statuses(t.statuses)] for t in refused])
    proven = result.tally.fresh + result.tally.known - result.tally.refused
    click.echo(
        f"{count(proven, 'kernel')} of {count(len({t.op for t in result.tally.tasks}), 'op')} "
        f"proven, {result.tally.refused:,} refused, {result.tally.known:,} known before, in "
        f"{duration(result.elapsed_s)}"
    )
    if refused:
        note("next: foundry report says why")


def _show_predicted(result: RunResult) -> None:
    from foundry.report.forecast import PREDICTED_COLUMNS, PredictedRow
    from foundry.report.format import meaning

    rows = [
        PredictedRow(t.op, t.dtype, [one for one, _ in t.predicted], t.statuses).cells()
        for t in result.tally.tasks
    ]
    print_table(PREDICTED_COLUMNS, rows)
    click.echo(_counted(result))
    click.echo(meaning(result.device.kind))
    if result.tally.fruitless:
        note(_FRUITLESS)


def _counted(result: RunResult) -> str:
    from foundry.report.format import count, duration

    fresh = count(result.tally.fresh, "new evaluation")
    return f"{fresh}, {result.tally.known:,} known before, in {duration(result.elapsed_s)}"


def _show(result: RunResult) -> None:
    from foundry.report.format import interval, latency, statuses
    from foundry.report.table import Column

    columns = [
        Column("op"),
        Column("dtype"),
        Column("workload", elastic=True),
        Column("base us", right=True),
        Column("best us", right=True),
        Column("speedup [95 %]"),
        Column("kernel"),
        Column("statuses", elastic=True),
    ]
    rows = []
    for task in result.tally.tasks:
        best = task.progress("done")
        rows.append(
            [
                task.op,
                task.dtype,
                best.workload or "-",
                latency(best.baseline_us),
                latency(best.best_us),
                interval(best.speedup, best.speedup_low, best.speedup_high),
                task.best[1].kernel_hash[:8] if task.best else "-",
                statuses(task.statuses),
            ]
        )
    print_table(columns, rows)
    click.echo(_counted(result))
    if result.tally.fruitless:
        note(_FRUITLESS)
    else:
        note("next: foundry report, foundry list kernels, foundry catalog build")
