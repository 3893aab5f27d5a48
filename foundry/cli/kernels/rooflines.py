"""What `foundry bench` shows beside the times: the device's roof, and the kernel's counters."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from foundry.cli.output import colour_wanted, print_table

if TYPE_CHECKING:
    from foundry.cli.kernels.judging import Judged
    from foundry.harness.measuring.jobs import Peaks
    from foundry.judge.verdict import Evaluation
    from foundry.report.roofline import Roofline


def rooflines(judged: Judged) -> Iterator[tuple[str, Roofline]]:
    """Dtype and roofline of every timing, where the device's peaks are known."""
    from foundry.judge.verdict import HELD_BYTES
    from foundry.report.roofline import roofline

    for evaluation in judged.evaluations if judged.peaks else ():
        facts = evaluation.extra.get("benchmark", {})
        for timing in evaluation.timings:
            assert judged.peaks is not None
            held = facts.get(timing.workload, {}).get(HELD_BYTES, 0)
            if found := roofline(timing, judged.peaks, held):
                yield evaluation.dtype, found


def show_rooflines(judged: Judged) -> None:
    """How near each timing is to what the device can do."""
    from foundry.report.format import percent
    from foundry.report.table import Column

    found = list(rooflines(judged))
    if not found or judged.peaks is None:
        return
    _heading(f"Roofline of this device ({judged.device.kind})", _peaks(judged.peaks))
    columns = [
        Column("dtype"),
        Column("workload", elastic=True),
        Column("FLOP/B", right=True),
        Column("GB/s", right=True),
        Column("GFLOP/s", right=True),
        Column("of the roof", right=True),
        Column("which is"),
    ]
    rows = [
        [
            dtype,
            one.workload,
            f"{one.flops_per_byte:.3g}",
            f"{one.achieved_gb_s:.3g}",
            f"{one.achieved_gflop_s:.3g}",
            percent(one.share_of_roof),
            one.roof,
        ]
        for dtype, one in found
    ]
    print_table(columns, rows)


def show_counters(judged: Judged) -> None:
    """What the SIMD-groups of a GPU would do, workload by workload."""
    from foundry.judge.time.counting import KEY
    from foundry.report import counters

    explained = False
    for evaluation in judged.evaluations:
        for workload, summary in evaluation.extra.get(KEY, {}).items():
            if not explained:
                _heading(counters.TITLE, f": {counters.MODEL}")
                explained = True
            _show(evaluation, workload, summary, judged.file.name)


def _show(evaluation: Evaluation, workload: str, summary: dict[str, Any], file: str) -> None:
    from foundry.report import counters

    if "uncounted" in summary:
        click.echo(f"{workload}: not counted, {summary['uncounted']}")
        return
    click.echo(workload)
    if sample := counters.sampled(summary):
        click.echo(sample)
    for columns, rows in (
        (counters.ARRAYS, counters.arrays(summary)),
        (counters.SHARED, counters.shared(summary)),
    ):
        if rows:
            print_table(columns, rows)
    for fact in counters.facts(summary):
        click.echo(fact)
    lines = counters.hottest(summary)
    if lines:
        _heading(f"Costliest lines of {file}")
    for line in lines:
        click.echo(_cut(line))


def _cut(line: str) -> str:
    """The line, shortened to the terminal where there is one."""
    width = shutil.get_terminal_size().columns
    return f"{line[: width - 1]}…" if sys.stdout.isatty() and len(line) > width else line


def _heading(title: str, more: str = "") -> None:
    styled = click.style(title, bold=True) if colour_wanted(sys.stdout) else title
    click.echo(f"\n{styled}{more}")


def _peaks(peaks: Peaks) -> str:
    from foundry.report.format import size

    caches = "".join(f"{c.gb_s:.3g} GB/s in {size(c.size)}, " for c in peaks.caches)
    return f": {caches}{peaks.memory_gb_s:.3g} beyond, {peaks.gflops:.3g} GFLOP/s"
