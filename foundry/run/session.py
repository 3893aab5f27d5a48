"""One `foundry run`, from what was asked to a finished run in the database.

1. Plans are made first, so that a wrong name costs nothing.
2. The database is opened, then the workers, which say what device they are.
3. An unfinished run of the same settings is taken up again; else a new one begins with the first
   kernel that needs judging, so a command that finds everything done leaves no empty run behind.
4. The loop runs; however it ends, the run is marked and what was saved stays.

Owned elsewhere: order (`plan`), the loop (`loop`), counts (`tally`), verdicts, rows.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from foundry.judge.options import JudgeOptions, bench_workloads
from foundry.judge.verdict import Evaluation
from foundry.report.display import open_display
from foundry.run.loop import Hooks, run
from foundry.run.plan import Plan, Schedule, Slot, narrow
from foundry.run.tally import Tally, event_line
from foundry.store.records import Origin, Outcome
from ops.spec import Op
from ops.tiers import tier

if TYPE_CHECKING:
    from foundry.chips.judged import JudgeSeat
    from foundry.program import Device
    from foundry.store import Store


@dataclass(frozen=True)
class RunRequest:
    """What `foundry run` was asked."""

    ops: tuple[str, ...]
    dtypes: tuple[str, ...]
    templates: tuple[str, ...]
    knobs: Mapping[str, str]
    strategy: str
    bench: str
    budget: int | None
    time_s: float | None
    seed: int
    workers: int
    device: str
    db: str | None
    command: str
    points: int | None = None
    """Points of each template that are proven and not timed; None: kernels are timed, and there
    are as many as the budget allows."""
    curriculum: bool = False
    """Whether easy ops come first, and harder ones once nothing more is won there."""

    def settings(self) -> dict[str, Any]:
        """What two commands share that continue one another; budgets may differ."""
        return {
            "ops": list(self.ops),
            "dtypes": list(self.dtypes),
            "templates": list(self.templates),
            "knobs": dict(self.knobs),
            "strategy": self.strategy,
            "bench": self.bench,
            **({} if self.points is None else {"points": self.points}),
            **({"curriculum": True} if self.curriculum else {}),
        }


@dataclass(frozen=True)
class RunResult:
    """What came of it."""

    tally: Tally
    device: Device
    run_id: int | None
    """None when nothing had to be judged."""
    elapsed_s: float


def make_plans(request: RunRequest) -> list[Plan]:
    """One plan per op and dtype, in the order asked.

    Raises:
        UsageError: An unknown name: op, dtype, template, knob, value, strategy, bench label.
    """
    from ops import registry as ops
    from templates.registry import for_op

    chosen = [ops.get(name) for name in request.ops]
    every = [template for op in chosen for template in for_op(op.name)]
    kept = narrow(every, request.templates, request.knobs) if every else ()
    plans = []
    for op in chosen:
        own = [template for template in kept if template.op == op.name]
        if not own and any(template.op == op.name for template in every):
            continue
        dtypes = _dtypes(request, op)
        for dtype in dtypes:
            bench_workloads(op, dtype, request.bench)
            points = _points(request, dtypes)
            plans.append(Plan(op, dtype, own, request.strategy, request.seed, points))
    return plans


def options_of(request: RunRequest) -> JudgeOptions:
    """How kernels are judged: timed, or many points of each template, each in a few sources."""
    if request.points is None:
        return JudgeOptions(bench=request.bench)
    return JudgeOptions(bench=request.bench, timed=False, sources=_SOURCES)


_SOURCES = 2
"""Compiled sizes in which a point is proven: twenty points meet each of a dozen with a chance of
97 %, and the time is that of two."""


def turns_of(request: RunRequest, plans: Sequence[Plan]) -> Sequence[int]:
    """Number of each plan's lesson: its tier, or its op where points are proven.

    What the oracle knows of an op is kept while it is the op's turn.
    """
    if request.curriculum:
        return [tier(plan.op) for plan in plans]
    if request.points is None:
        return ()
    ops = list(dict.fromkeys(plan.op.name for plan in plans))
    return [ops.index(plan.op.name) for plan in plans]


def _points(request: RunRequest, dtypes: Sequence[str]) -> int | None:
    """Those of each template in one dtype: all are dealt to its dtypes."""
    return None if request.points is None else math.ceil(request.points / len(dtypes))


def _dtypes(request: RunRequest, op: Op) -> tuple[str, ...]:
    """Those asked for; where points of all ops are proven, those that an op has."""
    if request.points is None:
        return request.dtypes
    return tuple(dtype for dtype in request.dtypes if dtype in op.dtypes)


def execute(request: RunRequest) -> RunResult:
    """Run until the budget or the knob spaces are used up.

    Raises:
        UsageError: See `make_plans`; or another process is at work on the same run.
        EnvironmentUnusable: Database or device cannot be used.
    """
    from foundry.chips.judged import judge_seat
    from foundry.store import Store

    plans = make_plans(request)
    start_s = time.monotonic()
    options = options_of(request)
    with (
        Store.open(request.db) as store,
        judge_seat(request.device, request.workers, options) as seat,
    ):
        session = _Session(request, plans, store, seat)
        session.go()
        elapsed_s = time.monotonic() - start_s
        return RunResult(session.tally, session.device, session.run_id, elapsed_s)


_NAMED = 8
"""Ops that a title names; more are counted."""


class _Session:
    def __init__(
        self,
        request: RunRequest,
        plans: Sequence[Plan],
        store: Store,
        seat: JudgeSeat,
    ) -> None:
        self.request = request
        self.store = store
        self.seat = seat
        self.device = seat.device
        self.tally = Tally(plans, request.budget, request.time_s)
        self.schedule = Schedule(plans, request.budget, turns_of(request, plans))
        self.run_id = self._unfinished()

    def go(self) -> None:
        start_s = time.monotonic()
        limit_s = self.request.time_s
        try:
            with open_display(self._title()) as display:
                self._display = display
                stop = self.seat.pool.close
                run(
                    self.schedule,
                    Hooks(self._evaluate, self._find, self._save, self._observe, stop),
                    workers=self.request.workers,
                    time_left_s=lambda: (
                        1.0 if limit_s is None else limit_s - (time.monotonic() - start_s)
                    ),
                )
                display.update(self.tally.progress("done"))
        except KeyboardInterrupt:
            self._finish("interrupted")
            raise
        except BaseException:
            # The reason is on its way out; a database that is at fault cannot be told of it.
            with suppress(Exception):
                self._finish("failed")
            raise
        self._finish("done")

    def _title(self) -> str:
        asked = self.request
        limits = [f"budget {asked.budget}"] if asked.budget is not None else []
        limits += [f"{asked.time_s:g} s"] if asked.time_s is not None else []
        limits += [f"{asked.points} points a template"] if asked.points is not None else []
        again = f" · goes on with run {self.run_id}" if self.run_id is not None else ""
        ops = list(dict.fromkeys(task.op for task in self.tally.tasks))
        names = ", ".join(ops) if len(ops) <= _NAMED else f"{len(ops)} ops"
        return (
            f"foundry run · {names} · {', '.join(asked.dtypes)} · {self.device.name} · "
            f"{asked.strategy}, {', '.join(limits)}, seed {asked.seed}{again}"
        )

    def _unfinished(self) -> int | None:
        from foundry.store import settings_key

        key = settings_key(self.request.settings(), self.request.seed, self.device)
        run_id = self.store.resumable("run", key)
        if run_id is not None:
            self.store.resume_run(run_id)
        return run_id

    def _finish(self, outcome: Outcome) -> None:
        if self.run_id is not None:
            self.store.finish_run(self.run_id, outcome)

    def _evaluate(self, slot: Slot) -> Evaluation:
        variant = slot.variant
        # On inputs that the judge draws in secret: the seed of a run tells nothing of them.
        return self.seat.judge.evaluate(variant.text, variant.op, variant.dtype)

    def _find(self, slot: Slot) -> Evaluation | None:
        variant = slot.variant
        found = self.store.find_evaluation(variant.hash, self.device.id, variant.dtype)
        if found is not None and self._answers(found, variant.op):
            return found
        if self.run_id is None:
            asked = self.request
            self.run_id = self.store.begin_run(
                "run", asked.command, asked.settings(), asked.seed, self.device
            )
        return None

    def _answers(self, found: Evaluation, op: Op) -> bool:
        """Whether a stored evaluation says all that is asked."""
        return self.request.points is not None or self.seat.settled(found, op)

    def _save(self, slot: Slot, evaluation: Evaluation) -> None:
        variant = slot.variant
        if self.run_id is None:
            raise AssertionError("a run begins before its first kernel is judged")
        chosen = variant.choice
        origin = Origin("template", chosen.template.name, {"knobs": chosen.point})
        self.store.save(self.run_id, variant.kernel, variant.text, evaluation, origin)

    def _observe(self, slot: Slot, evaluation: Evaluation, fresh: bool) -> None:
        self.tally.add(slot, evaluation, fresh=fresh)
        self._display.update(self.tally.progress())
        if fresh:
            self._display.event(event_line(slot.variant, evaluation))
