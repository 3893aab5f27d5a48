"""A recipe's search for a chip that is not here, beside what was measured on this machine.

Two kernels an op stand side by side: the best of this machine's search, and one of those that the
chip model takes for the fastest there. Each has a time that was measured here and one that is
predicted for the chip, and neither stands for the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from discover.autorun.autorun import Autorun, run_autorun
from discover.history.summary import Found
from discover.protocol import Proposer
from discover.search.watch import Watch
from discover.search.workbench import Workbench
from foundry.chips.judged import PredictingJudge, judge_seat
from foundry.judge.options import JudgeOptions
from foundry.judge.verdict import Evaluation
from foundry.kernel import parse
from foundry.report.figures import figures
from foundry.report.format import latency
from foundry.report.predicted import PredictedTime, predicted_times
from foundry.report.table import Column
from foundry.store.records import Origin
from ops import registry
from ops.declaring.cases import at_shapes
from ops.spec import Op


@dataclass(frozen=True)
class BothWays:
    """A kernel with its time here, and the one that is predicted for a chip."""

    op: str
    dtype: str
    found_for: str
    """`this machine`, or the chip."""
    kernel_hash: str
    measured: Evaluation
    """On this machine."""
    predicted: tuple[PredictedTime, ...]

    def cells(self) -> list[str]:
        """For the table of `columns`."""
        found = figures(self.measured)
        times = "; ".join(latency(one.us) for one in self.predicted)
        bounds = ", ".join(dict.fromkeys(one.bound_words for one in self.predicted))
        here = latency(found.kernel_us if found else None)
        named = [self.op, self.dtype, self.found_for, self.kernel_hash[:8]]
        return [*named, here, times or "-", bounds or "-"]

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        found = figures(self.measured)
        return {
            "op": self.op,
            "dtype": self.dtype,
            "found_for": self.found_for,
            "kernel_hash": self.kernel_hash,
            "measured_here_us": found.kernel_us if found else None,
            "predicted": [{"kind": "prediction", **asdict(one)} for one in self.predicted],
        }


@dataclass(frozen=True)
class BothMachines:
    """What came of the two searches."""

    here: str
    chip: str
    rows: tuple[BothWays, ...]

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        rows = [row.document() for row in self.rows]
        return {"elsewhere": {"chip": self.chip, "here": self.here, "kernels": rows}}


def columns(both: BothMachines) -> list[Column]:
    """Of the table: which time is of which machine stands in its head."""
    return [
        Column("op"),
        Column("dtype"),
        Column("found for"),
        Column("kernel"),
        Column(f"us measured on {both.here}", right=True),
        Column(f"us predicted for {both.chip}", right=True),
        Column("bound there by"),
    ]


def search_elsewhere(
    here: Workbench,
    measured: Autorun,
    proposers: Sequence[Proposer],
    watch: Watch,
    command: str,
) -> BothMachines | None:
    """Search for a recipe's chip, where this machine has no GPU and the recipe names one.

    What costs money was spent on the recipe's own search: this one asks who works here alone.

    Raises:
        UsageError: An unknown chip, with the nearest.
        EnvironmentUnusable: The device stopped working.
    """
    asked, device = measured.recipe.of_chip(), here.seat.device
    proposers = [proposer for proposer in proposers if not proposer.remote]
    if asked is None or device.kind != "cpu" or measured.broken or not proposers:
        return None
    workers = here.seat.pool.workers
    with judge_seat(asked.device, workers, JudgeOptions(bench=asked.bench)) as seat:
        assert isinstance(seat.judge, PredictingJudge)
        there = replace(here, seat=seat)
        predicted = run_autorun(there, asked, command, proposers, watch)
        rows = tuple(both_ways(here, seat.judge, measured, predicted))
    return BothMachines(device.name, str(seat.device.fingerprint["chip"]), rows)


def both_ways(
    here: Workbench,
    there: PredictingJudge,
    measured: Autorun,
    predicted: Autorun,
) -> Iterator[BothWays]:
    """The best of each search, op by op.

    Args:
        here: Of this machine: a kernel of the other search is timed on it, and that is kept.
        there: Of the chip.
        measured: The searches here.
        predicted: The searches for the chip.

    Raises:
        EnvironmentUnusable: The device stopped working.
    """
    fronts = {(s.op, s.dtype): s.front for s in predicted.summaries}
    for summary in measured.summaries:
        op = at_shapes(registry.get(summary.op), measured.recipe.shapes_of(summary.op))
        best = summary.best.evaluation if summary.best else None
        if best is not None:
            text = here.store.kernel_text(best.kernel_hash)
            said = there.with_predictions(best, text, op)
            yield _row("this machine", best, said)
        for found in fronts.get((summary.op, summary.dtype), ())[:1]:
            timed = _timed(here, measured.run_id, found, op)
            yield _row(there.chip, timed, found.evaluation)


def _timed(here: Workbench, run_id: int, found: Found, op: Op) -> Evaluation:
    """A kernel of the other search, as this machine measured it."""
    wanted, store = found.evaluation, here.store
    known = store.find_evaluation(wanted.kernel_hash, here.seat.device.id, wanted.dtype)
    if known is not None and here.seat.settled(known, op):
        return known
    text = store.kernel_text(wanted.kernel_hash)
    made = here.seat.judge.evaluate(text, op, wanted.dtype)
    store.save(run_id, parse(text), text, made, Origin(**found.node.detail["origin"]))
    return made


def _row(found_for: str, measured: Evaluation, said: Evaluation) -> BothWays:
    times = predicted_times(said)
    return BothWays(said.op, said.dtype, found_for, said.kernel_hash, measured, times)
