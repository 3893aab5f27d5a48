"""Predicted kernels as a table: what searches and runs for a chip that is not here print. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from foundry.judge.verdict import Evaluation
from foundry.report.format import latency, statuses
from foundry.report.predicted import predicted_gain, predicted_times, predicted_us
from foundry.report.table import Column

PREDICTED_COLUMNS = (
    Column("op"),
    Column("dtype"),
    Column("workload", elastic=True),
    Column("predicted us", right=True),
    Column("between"),
    Column("bound by"),
    Column("over best template", right=True),
    Column("kernels, not told apart", elastic=True),
    Column("statuses", elastic=True),
)
_SHOWN = 3


@dataclass(frozen=True)
class PredictedRow:
    """One op in one dtype: the kernels that are predicted to be fastest, which are no ranking."""

    op: str
    dtype: str
    front: Sequence[Evaluation]
    """As `foundry.report.predicted.front` gives them."""
    statuses: Mapping[str, int]

    def cells(self) -> list[str]:
        """In `PREDICTED_COLUMNS`."""
        times = predicted_times(self.front[0]) if self.front else ()
        cases = times[0].workload if len(times) == 1 else f"{len(times)} cases"
        every = [one for kernel in self.front for one in predicted_times(kernel)]
        bounds = dict.fromkeys(one.bound_words for one in every)
        return [
            self.op,
            self.dtype,
            cases if times else "-",
            _span([predicted_us(one) or 0.0 for one in self.front]),
            _between(self.front),
            ", ".join(bounds) or "-",
            self._gain(),
            self._kernels(),
            statuses(self.statuses),
        ]

    def _gain(self) -> str:
        gains = [gain for one in self.front if (gain := predicted_gain(one)) is not None]
        if not gains:
            return "-"
        low, high = f"{min(gains):.2f}x", f"{max(gains):.2f}x"
        return low if low == high else f"{low} to {high}"

    def _kernels(self) -> str:
        names = [one.kernel_hash[:8] for one in self.front]
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        return " ".join(names[:_SHOWN]) + more or "-"


def _span(times_us: Sequence[float]) -> str:
    if not times_us:
        return "-"
    low, high = latency(min(times_us)), latency(max(times_us))
    return low if low == high else f"{low} to {high}"


def _between(front: Sequence[Evaluation]) -> str:
    every = [one for kernel in front for one in predicted_times(kernel)]
    if len({one.workload for one in every}) != 1:
        return "-"
    return f"{latency(min(o.low_us for o in every))} to {latency(max(o.high_us for o in every))}"
