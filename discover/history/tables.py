"""Searches as tables: what `search`, `autorun`, `report` and `compare` print."""

from __future__ import annotations

from collections.abc import Sequence

from discover.history.summary import Found, Spending, Summary
from foundry.report.figures import figures
from foundry.report.forecast import PREDICTED_COLUMNS, PredictedRow
from foundry.report.format import count, interval, latency, statuses
from foundry.report.predicted import MODEL
from foundry.report.table import Column

COLUMNS = (
    Column("op"),
    Column("dtype"),
    Column("workload", elastic=True),
    Column("base us", right=True),
    Column("best us", right=True),
    Column("speedup [95 %]"),
    Column("over best start"),
    Column("kernel"),
    Column("evaluations", right=True),
    Column("statuses", elastic=True),
)


def table(summaries: Sequence[Summary]) -> tuple[Sequence[Column], list[list[str]]]:
    """Columns and rows of searches on one device; of a chip that is not here, what is predicted."""
    if not any(summary.run.device.kind == MODEL for summary in summaries):
        return COLUMNS, [row(summary) for summary in summaries]
    return PREDICTED_COLUMNS, [_predicted(summary) for summary in summaries]


def _predicted(summary: Summary) -> list[str]:
    front = [one.evaluation for one in summary.front]
    return PredictedRow(summary.op, summary.dtype, front, summary.statuses).cells()


def row(summary: Summary) -> list[str]:
    """One search in these columns."""
    best = figures(summary.best.evaluation) if summary.best else None
    gain = summary.gain
    return [
        summary.op,
        summary.dtype,
        best.workload if best else "-",
        latency(best.baseline_us if best else None),
        latency(best.kernel_us if best else None),
        interval(best.speedup, best.speedup_low, best.speedup_high) if best else "-",
        interval(*gain) if gain else "-",
        short(summary.best),
        f"{summary.evaluations:,}",
        statuses(summary.statuses),
    ]


def short(found: Found | None) -> str:
    """The first digits of a kernel's hash."""
    return found.evaluation.kernel_hash[:8] if found else "-"


def spending_line(spending: Spending) -> str | None:
    """What the calls cost, in one line; None without calls."""
    if not spending.calls:
        return None
    troubles = [
        text
        for number, text in (
            (spending.failed, f"{spending.failed} failed"),
            (spending.lost, f"{spending.lost} lost"),
        )
        if number
    ]
    trouble = f" ({', '.join(troubles)})" if troubles else ""
    unpriced = f" and {count(spending.unpriced, 'call')} of unknown price"
    return (
        f"{count(spending.calls, 'LLM call')}{trouble}: {spending.input_tokens:,} tokens in, "
        f"{spending.output_tokens:,} out; spent ${spending.usd:.4f}"
        f"{unpriced if spending.unpriced else ''}, at most ${spending.usd_at_most:.4f}"
    )


def money(spending: Spending) -> tuple[str, str]:
    """Spent and at most, for two columns; unknown where no price is known."""
    if not spending.calls:
        return "-", "-"
    if spending.unpriced:
        return "unknown", "unknown"
    return f"{spending.usd:.4f}", f"{spending.usd_at_most:.4f}"
