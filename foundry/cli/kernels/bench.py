"""`foundry bench FILE`: is this kernel right, and how fast against the baseline?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from foundry.cli import options, parameters
from foundry.cli.output import note, print_table

if TYPE_CHECKING:
    from foundry.cli.kernels.judging import Judged
    from foundry.judge.verdict import Evaluation, Timing


@click.command("bench")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option(
    "--dtype",
    "dtypes",
    type=parameters.DTYPE_LIST,
    default="float32",
    show_default=True,
    help="Element types, comma-separated.",
)
@options.bench_option
@click.option(
    "--counters/--no-counters",
    "counted",
    default=True,
    help="Count memory transactions, bank conflicts and barriers of its SIMD-groups.",
)
@options.save_option
@options.user_code_options
@options.language_option
@options.db_option
@options.device_option
@options.inputs_seed_option
@options.json_option
@options.debug_option
def command(
    file: str,
    dtypes: tuple[str, ...],
    bench: str,
    counted: bool,
    save: bool,
    db: str | None,
    device: str,
    seed: int | None,
    as_json: bool,
) -> int:
    """Prove a kernel file right, then time it against the baseline.

    FILE is a kernel file, or - for standard input. Times are taken in interleaved pairs with the
    fastest MLX expression of the op; dispatch is taken off both and stated, and the speedup comes
    with its 95 % interval. Beside them: how
    near the kernel is to what this device can do, and what the SIMD-groups of a GPU would do to
    memory. A kernel that is not proven right gets no time, and exit code 4.
    """
    from foundry.cli.kernels.judging import JudgingRequest, judge_and_show
    from foundry.judge.options import PRECISE, JudgeOptions

    request = JudgingRequest(
        path=file,
        dtypes=dtypes,
        device=device,
        seed=seed,
        options=JudgeOptions(bench=bench, plan=PRECISE),
        save=save,
        db=db,
        as_json=as_json,
        counted=counted,
    )
    return judge_and_show(request, lambda judged: _show(judged, bench), _document)


def _document(judged: Judged) -> dict[str, Any]:
    """What `--json` prints: the counters are in each evaluation's `extra`."""
    from foundry.cli.kernels.rooflines import rooflines

    return judged.document() | {
        "peaks": judged.peaks.document() if judged.peaks else None,
        "rooflines": [{"dtype": dtype} | one.document() for dtype, one in rooflines(judged)],
    }


def _show(judged: Judged, bench: str) -> None:
    from foundry.cli.kernels.judging import print_failures
    from foundry.cli.kernels.rooflines import show_counters, show_rooflines
    from foundry.report.table import Column

    note(f"{judged.op.name} {judged.kernel.hash[:12]} on {judged.device.name}")
    columns = [
        Column("dtype"),
        Column("workload", elastic=True),
        Column("baseline us", right=True),
        Column("kernel us", right=True),
        Column("speedup [95 %]"),
        Column("GB/s", right=True),
        Column("GFLOP/s", right=True),
        Column(""),
    ]
    rows = [row for evaluation in judged.evaluations for row in _rows(evaluation)]
    print_table(columns, rows)
    for line in (*_verdicts(judged), *_taken_off(judged)):
        click.echo(line)
    print_failures(judged)
    show_rooflines(judged)
    show_counters(judged)
    if judged.passed and bench == "quick" and len(judged.op.bench) > 1:
        note(f"one of {len(judged.op.bench)} bench workloads; --bench full times them all")


def _rows(evaluation: Evaluation) -> list[list[str]]:
    if not evaluation.timings:
        return [[evaluation.dtype, "-", "-", "-", "-", "-", "-", str(evaluation.status)]]
    return [_row(evaluation, timing) for timing in evaluation.timings]


def _row(evaluation: Evaluation, timing: Timing) -> list[str]:
    from foundry.report.format import interval, latency

    us = timing.kernel_us
    return [
        evaluation.dtype,
        f"{timing.label}  {timing.workload}" if timing.label else timing.workload,
        latency(timing.baseline_us),
        latency(us),
        interval(timing.speedup, timing.speedup_low, timing.speedup_high),
        f"{timing.bytes_moved / us / 1e3:.2f}",
        f"{timing.flops / us / 1e3:.2f}",
        _against(timing),
    ]


def _against(timing: Timing) -> str:
    if timing.speedup_low > 1:
        return "faster"
    return "slower" if timing.speedup_high < 1 else "no difference"


def _taken_off(judged: Judged) -> Iterator[str]:
    """What the times do not hold, and what they are good for."""
    from foundry.report.format import latency, meaning, taken_off

    timings = [timing for evaluation in judged.evaluations for timing in evaluation.timings]
    for timing in timings:
        off = taken_off(timing.baseline_dispatch_us, timing.kernel_dispatch_us)
        yield f"{timing.workload}: {off}; a wait costs {latency(timing.fixed_us)} us once"
    if timings and (said := meaning(judged.device.kind)):
        yield said


def _verdicts(judged: Judged) -> list[str]:
    """One line per dtype that was timed: its status, and its score over all workloads."""
    lines = []
    for evaluation in judged.evaluations:
        if evaluation.score is not None:
            what = "lower bound of the speedup"
            if len(evaluation.timings) > 1:
                what += f", geometric mean over {len(evaluation.timings)} workloads"
            lines.append(
                f"{evaluation.dtype}: {evaluation.status}; {evaluation.score:.2f}x, {what}"
            )
    return lines
