"""Makes the kernels of a recipe, and keeps what the judge says of each at once.

`kernels` thinks them up, `field` orders them, `foundry.run.loop` judges several at a time. Killed
at any moment, the same recipe goes on: what is in the database is met again and not judged again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from discover.corpus.field import Field, Plot
from discover.corpus.recipe import CorpusRecipe
from foundry.chips import fitted, registry
from foundry.chips.prediction import predicted_on
from foundry.chips.profiled import Profiler
from foundry.harness.processes.pool import WorkerPool
from foundry.judge.judge import Judge
from foundry.judge.options import JudgeOptions, bench_workloads, is_shared
from foundry.judge.time.counting import KEY as COUNTERS
from foundry.judge.time.counting import with_counters
from foundry.judge.verdict import Evaluation
from foundry.kernel import parse
from foundry.msl.gpu.profile import GpuProfile
from foundry.report.display import Display
from foundry.report.format import statuses
from foundry.report.progress import Progress, TaskProgress
from foundry.run.loop import Hooks, run
from foundry.store import Store, settings_key
from foundry.store.records import PREDICTIONS, Outcome
from ops import registry as ops

_SAID_EVERY = 50
"""Evaluations between two lines of a log."""


@dataclass(frozen=True)
class Harvest:
    """What was made."""

    run_id: int | None
    """None when everything was in the database."""
    verified: dict[str, int]
    """Verified kernels by op."""
    statuses: dict[str, int]
    faults: dict[str, int]
    """Planted faults that were found, by status."""
    fresh: int
    """Evaluations made now."""
    elapsed_s: float

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        return {**vars(self), "kernels": sum(self.verified.values()), "ops": len(self.verified)}


class Maker:
    """One dataset under way."""

    def __init__(
        self,
        recipe: CorpusRecipe,
        store: Store,
        pool: WorkerPool,
        display: Display,
        command: str,
        time_s: float | None = None,
    ) -> None:
        self._recipe, self._store, self._pool, self._display = recipe, store, pool, display
        self._command = command
        self._time_s = time_s
        self._field = Field(recipe, [ops.get(name) for name in recipe.op_names()])
        proving, timing = JudgeOptions(timed=False), JudgeOptions()
        secret = Judge(pool, timing)
        self._timing, self._proving = secret, Judge(pool, proving, secret.seed)
        self._profiler = Profiler(pool)
        self._device = pool.device()
        self._fresh = 0
        self._run_id = store.resumable("run", self._key())
        if self._run_id is not None:
            store.resume_run(self._run_id)

    def make(self) -> Harvest:
        """Judge plots until there are enough verified kernels, no more of them, or no time left.

        Raises:
            EnvironmentUnusable: The device stopped working.
            KeyboardInterrupt: Everything judged so far is kept.
        """
        start_s = time.monotonic()
        hooks = Hooks(self._evaluate, self._find, self._save, self._observe, self._pool.close)
        try:
            run(
                self._field,
                hooks,
                workers=self._pool.workers,
                time_left_s=self._time_left(start_s),
            )
        except BaseException as error:
            # The reason is on its way out; a database that is at fault cannot be told of it.
            with suppress(Exception):
                self._finish("interrupted" if isinstance(error, KeyboardInterrupt) else "failed")
            raise
        enough = self._field.verified.total() >= self._recipe.kernels
        out_of_time = self._time_left(start_s)() <= 0
        self._finish("budget" if out_of_time and not enough else "done")
        return self._harvest(time.monotonic() - start_s)

    def _harvest(self, elapsed_s: float) -> Harvest:
        field = self._field
        counts = (dict(field.verified), dict(field.statuses), dict(field.faults))
        return Harvest(self._run_id, *counts, self._fresh, elapsed_s)

    def _time_left(self, start_s: float) -> Callable[[], float]:
        limit_s = self._time_s
        return lambda: 1.0 if limit_s is None else limit_s - (time.monotonic() - start_s)

    def _key(self) -> str:
        return settings_key(self._recipe.settings(), self._recipe.seed, self._device)

    def _finish(self, outcome: Outcome) -> None:
        if self._run_id is not None:
            self._store.finish_run(self._run_id, outcome)

    def _evaluate(self, plot: Plot) -> Evaluation:
        judge = self._timing if plot.timed else self._proving
        found = judge.evaluate(plot.text, plot.op, plot.dtype)
        if not plot.explained or not found.status.passed:
            return found
        counted = with_counters(self._pool, found, plot.text, plot.op)
        return self._predicted(plot, counted)

    def _predicted(self, plot: Plot, evaluation: Evaluation) -> Evaluation:
        """The evaluation with what the chip model says of the kernel, where it says anything."""
        if not self._recipe.chips:
            return evaluation
        (workload,) = bench_workloads(plot.op, plot.dtype, "quick")
        profile = self._profiler.profile(parse(plot.text), plot.op, workload)
        if not isinstance(profile, GpuProfile):
            return evaluation
        chips = [registry.get(name) for name in self._recipe.chips]
        said = {c.key: predicted_on(profile, c, fitted.built_in()).document() for c in chips}
        extra = {**evaluation.extra, PREDICTIONS: {workload.id: said}}
        return evaluation.model_copy(update={"extra": extra})

    def _find(self, plot: Plot) -> Evaluation | None:
        found = self._store.find_evaluation(plot.hash, self._device.id, plot.dtype)
        if found is not None and (is_shared(found) or _lacks(found, plot)):
            found = None
        if found is None and self._run_id is None:
            recipe = self._recipe
            self._run_id = self._store.begin_run(
                "run", self._command, recipe.settings(), recipe.seed, self._device
            )
        return found

    def _save(self, plot: Plot, evaluation: Evaluation) -> None:
        if self._run_id is None:
            raise AssertionError("a run begins before its first kernel is judged")
        self._fresh += 1
        self._store.save(self._run_id, plot.kernel, plot.text, evaluation, plot.origin, plot.parent)

    def _observe(self, plot: Plot, evaluation: Evaluation, fresh: bool) -> None:
        self._field.grew(plot, evaluation)
        self._display.update(self._progress(plot))
        if fresh and self._fresh % _SAID_EVERY == 0:
            self._display.event(f"at {plot.op.name}: {statuses(self._field.statuses)}")

    def _progress(self, plot: Plot) -> Progress:
        field = self._field
        broken = sum(field.faults.values())
        tasks = (
            TaskProgress("verified", state=f"{len(field.verified)} ops, at {plot.op.name}"),
            TaskProgress("planted faults", statuses=dict(field.faults), state=f"{broken} found"),
        )
        return Progress(
            tasks, field.verified.total(), self._recipe.kernels, self._fresh, self._time_s
        )


def _lacks(found: Evaluation, plot: Plot) -> bool:
    """Whether a kernel that passed was judged without what is asked of it now."""
    if not found.status.passed:
        return False
    untimed = plot.timed and not found.timings
    return untimed or (plot.explained and COUNTERS not in found.extra)
