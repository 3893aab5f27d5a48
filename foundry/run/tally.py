"""What a run has found so far: counts by status, the best kernel of each task. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from foundry.judge.verdict import Evaluation, Status
from foundry.report.figures import figures
from foundry.report.format import interval, latency
from foundry.report.predicted import Front, predicted_gain, predicted_times
from foundry.report.progress import Progress, TaskProgress
from foundry.run.plan import Plan, PlannedVariant, Slot


@dataclass
class TaskTally:
    """One op in one dtype."""

    op: str
    dtype: str
    statuses: Counter[str] = field(default_factory=Counter)
    fresh: int = 0
    best: tuple[PlannedVariant, Evaluation] | None = None
    predicted: Front[PlannedVariant] = field(default_factory=Front)
    """Kernels that the chip model does not tell from the one it takes for the fastest."""

    @property
    def name(self) -> str:
        """`softmax float32`."""
        return f"{self.op} {self.dtype}"

    def add(self, variant: PlannedVariant, evaluation: Evaluation, *, fresh: bool) -> None:
        """Count one evaluation."""
        self.statuses[str(evaluation.status)] += 1
        self.fresh += fresh
        held = self.best[1].score if self.best else None
        if evaluation.score is not None and (held is None or evaluation.score > held):
            self.best = (variant, evaluation)
        self.predicted.add(evaluation, variant)

    def progress(self, state: str) -> TaskProgress:
        """For the display."""
        found = figures(self.best[1]) if self.best else None
        return TaskProgress(
            name=self.name,
            workload=found.workload if found else "",
            baseline_us=found.baseline_us if found else None,
            best_us=found.kernel_us if found else None,
            speedup=found.speedup if found else None,
            speedup_low=found.speedup_low if found else None,
            speedup_high=found.speedup_high if found else None,
            statuses=dict(self.statuses),
            state=state,
        )

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "op": self.op,
            "dtype": self.dtype,
            "evaluations": self.statuses.total(),
            "new": self.fresh,
            "statuses": dict(self.statuses),
            "best": _best_document(*self.best) if self.best else None,
            **({"predicted": self._predicted_document()} if len(self.predicted) else {}),
        }

    def _predicted_document(self) -> list[dict[str, Any]]:
        return [
            {
                "kind": "prediction",
                "kernel_hash": evaluation.kernel_hash,
                "template": variant.choice.template.name,
                "knobs": variant.choice.point,
                "gain_over_best_template": predicted_gain(evaluation),
                "times": [asdict(time) for time in predicted_times(evaluation)],
            }
            for evaluation, variant in self.predicted
        ]


class Tally:
    """All tasks of a run."""

    def __init__(self, plans: Sequence[Plan], budget: int | None, time_s: float | None) -> None:
        self.tasks = [TaskTally(plan.op.name, plan.dtype) for plan in plans]
        self._budget = budget
        self._time_s = time_s

    @property
    def fresh(self) -> int:
        """Evaluations made now."""
        return sum(task.fresh for task in self.tasks)

    @property
    def known(self) -> int:
        """Evaluations found in the database."""
        return sum(task.statuses.total() for task in self.tasks) - self.fresh

    @property
    def fruitless(self) -> bool:
        """Whether kernels were judged and none of them passed."""
        statuses = sum((task.statuses for task in self.tasks), Counter[str]())
        return statuses.total() > 0 and not any(Status(s).passed for s in statuses)

    @property
    def refused(self) -> int:
        """Evaluations of kernels that did not pass."""
        return sum(
            count
            for task in self.tasks
            for status, count in task.statuses.items()
            if not Status(status).passed
        )

    def add(self, slot: Slot, evaluation: Evaluation, *, fresh: bool) -> None:
        """Count the evaluation of a slot."""
        self.tasks[slot.plan].add(slot.variant, evaluation, fresh=fresh)

    def progress(self, state: str = "running") -> Progress:
        """For the display."""
        return Progress(
            tasks=tuple(task.progress(state) for task in self.tasks),
            done=self.fresh + self.known,
            budget=self._budget,
            fresh=self.fresh,
            time_budget_s=self._time_s,
        )


def event_line(variant: PlannedVariant, evaluation: Evaluation) -> str:
    """One finished evaluation: what it was and what became of it."""
    found, said = figures(evaluation), predicted_times(evaluation)
    if said:
        outcome = f"{evaluation.status} {'; '.join(one.words for one in said)}"
    elif found is None:
        outcome = f"{evaluation.status} {evaluation.why}".rstrip()
    else:
        measured = interval(found.speedup, found.speedup_low, found.speedup_high)
        outcome = f"{evaluation.status} {latency(found.kernel_us)} us {measured}"
    return f"{variant.op.name} {variant.dtype}: {outcome} · {variant.choice}"


def _best_document(variant: PlannedVariant, evaluation: Evaluation) -> dict[str, Any]:
    samples = {"samples_baseline_us", "samples_kernel_us"}
    return {
        "kernel_hash": evaluation.kernel_hash,
        "template": variant.choice.template.name,
        "knobs": variant.choice.point,
        "status": str(evaluation.status),
        "score": evaluation.score,
        "timings": [t.model_dump(mode="json", exclude=samples) for t in evaluation.timings],
    }
