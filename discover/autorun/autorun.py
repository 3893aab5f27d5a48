"""Several searches from one recipe, one after another, as one run that can be taken up again.

1. The run begins, or the unfinished one of the same recipe goes on.
2. Each op is searched within what the recipe allows it and its share of what is left of the total;
   searches that are done already are passed over, one that was cut short goes on. Where the ops are
   those of a model, they take turns, slice by slice, as `whole` says.
3. A fault that ends every proposer (a spent account, a wrong key) ends the autorun: what is found
   stays, and the same command goes on once it is mended.

`products` writes dataset, catalog and report of what was found.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from discover.autorun.recipe import Recipe
from discover.autorun.whole import SLICE, next_op
from discover.budget.limits import Limits
from discover.calls.checking import check
from discover.calls.roster import seats_of
from discover.history.summary import Summary, searches, summarise
from discover.proposers.keys import without_login, without_secrets
from discover.protocol import Proposer
from discover.search.session import finished_run, run_search
from discover.search.settings import SearchRequest
from discover.search.task import Outcome
from discover.search.watch import Watch
from discover.search.workbench import Workbench
from foundry.store.records import Outcome as RunOutcome


@dataclass(frozen=True)
class Autorun:
    """How an autorun ended."""

    run_id: int
    summaries: tuple[Summary, ...]
    resumed: bool
    broken: str | None = None
    """The fault that ended it early."""


def run_autorun(
    bench: Workbench,
    recipe: Recipe,
    command: str,
    proposers: Sequence[Proposer],
    watch: Watch,
    done: Callable[[str], None] = lambda name: None,
) -> Autorun:
    """Search every op of a recipe.

    Args:
        bench: Database, workers and judge.
        recipe: What to search.
        command: As it was typed; kept with the run.
        proposers: Those the recipe names.
        watch: Who is told.
        done: Called with the name of each search that ended.

    Raises:
        UsageError: An unknown name, a money limit for a model without a price, or another
            process is at work on the same autorun.
        EnvironmentUnusable: The device stopped working.
    """
    for allowance in (recipe.per_op, recipe.total):
        seats_of(proposers, bench.prices, allowance, recipe)
    check(proposers)
    run_id, resumed = _begin(bench, recipe, command)
    night = _Night(bench, recipe, command, proposers, watch, run_id, done)
    try:
        broken, by_budget = night.search_all()
    except BaseException as error:
        # The reason is on its way out; a database that is at fault cannot be told of it.
        with suppress(Exception):
            bench.store.finish_run(
                run_id, "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            )
        raise
    bench.store.finish_run(run_id, _ending(broken, by_budget=by_budget))
    return Autorun(run_id, tuple(_summaries(bench, run_id)), resumed, broken)


@dataclass(frozen=True)
class _Night:
    """The searches of one autorun, in order."""

    bench: Workbench
    recipe: Recipe
    command: str
    proposers: Sequence[Proposer]
    watch: Watch
    run_id: int
    done: Callable[[str], None]

    def search_all(self) -> tuple[str | None, bool]:
        """Search every op; the fault that ended it early, and whether a budget ended any search.

        What the others leave of the total goes to those that could have used more: a second time
        round.
        """
        if self.recipe.weights:
            return self._search_by_gain()
        pending, ended = self.recipe.tasks(), False
        for _ in range(2):
            again = []
            for place, task in enumerate(pending):
                outcome = self._search(*task, waiting=len(pending) - place - 1)
                if outcome and outcome.broken:
                    return outcome.broken, ended
                if outcome and outcome.by_budget:
                    again.append(task)
            ended = bool(again)
            # Without a total, a second time round would give nothing more.
            pending = tuple(again) if self.recipe.total != Limits() else ()
        return None, ended

    def _search_by_gain(self) -> tuple[str | None, bool]:
        """Slice by slice, each for the op from which the whole model gains most."""
        open_ops, ended = dict(self.recipe.weights), False
        while (op := next_op(open_ops, _summaries(self.bench, self.run_id))) is not None:
            used = [s for s in _summaries(self.bench, self.run_id) if s.op == op]
            went_on = False
            for _, dtype in (task for task in self.recipe.tasks() if task[0] == op):
                so_far = sum(s.evaluations for s in used if s.dtype == dtype)
                outcome = self._search(op, dtype, waiting=0, most=so_far + SLICE)
                if outcome and outcome.broken:
                    return outcome.broken, ended
                ended = ended or bool(outcome and outcome.by_budget)
                now = _summaries(self.bench, self.run_id)
                grown = sum(s.evaluations for s in now if (s.op, s.dtype) == (op, dtype))
                went_on = went_on or grown > so_far
            if not went_on:
                del open_ops[op]
        return None, ended

    def _search(
        self, op: str, dtype: str, *, waiting: int, most: int | None = None
    ) -> Outcome | None:
        """One search within its share; None where it is done, or nothing is left for it."""
        request = SearchRequest(
            op,
            dtype,
            self.recipe.per_op,
            self.command,
            self.recipe,
            part_of=f"autorun {self.run_id}",
        )
        used = _summaries(self.bench, self.run_id)
        limits = share(self.recipe, used, request.name, waiting)
        if limits is None:
            self.watch.event(f"{request.name}: the total budget of the recipe is used up")
            return None
        if most is not None:
            left = most if limits.evaluations is None else limits.evaluations
            limits = replace(limits, evaluations=min(most, left))
        outcome = None
        if finished_run(self.bench, request) is None:
            found = replace(request, limits=limits)
            outcome = run_search(self.bench, found, self.proposers, self.watch)
        self.done(request.name)
        return outcome


def _ending(broken: str | None, *, by_budget: bool) -> RunOutcome:
    if broken:
        return "interrupted"
    return "budget" if by_budget else "done"


def settings(recipe: Recipe) -> dict[str, Any]:
    """What two autoruns share that continue one another: all but budgets, and what is measured."""
    budgets = {
        "per_op",
        "total",
        "products",
        "parallel",
        "counters",
        "wait",
        "weights",
        "elsewhere",
    }
    kept = recipe.model_dump(mode="json", exclude={*budgets, "strategy", "repair"})
    kept["base_url"] = without_login(recipe.base_url)
    return {**kept, **recipe.chosen()}


def _begin(bench: Workbench, recipe: Recipe, command: str) -> tuple[int, bool]:
    from foundry.store import settings_key

    store, device, kept = bench.store, bench.seat.device, settings(recipe)
    run_id = store.resumable("autorun", settings_key(kept, recipe.seed, device))
    if run_id is None:
        return store.begin_run(
            "autorun", without_secrets(command), kept, recipe.seed, device
        ), False
    store.resume_run(run_id)
    return run_id, True


def _summaries(bench: Workbench, run_id: int) -> list[Summary]:
    found = searches(bench.store, part_of=f"autorun {run_id}")
    return [summarise(bench.store, run) for run in found]


def share(recipe: Recipe, used: Sequence[Summary], own: str, waiting: int) -> Limits | None:
    """What the next search may use in all: its own allowance, within its share of the total.

    Those that wait keep a share as large as its own; what a search leaves goes to them.

    Args:
        recipe: Both allowances.
        used: The searches of this autorun so far.
        own: Name of the next search; what it used in an earlier session is its own to keep.
        waiting: Searches that come after it.

    Returns:
        None where nothing is left to begin with.
    """
    mine = [s for s in used if f"{s.op} {s.dtype}" == own]
    left: dict[str, Any] = {}
    for name in ("evaluations", "seconds", "tokens", "usd"):
        each, total = getattr(recipe.per_op, name), getattr(recipe.total, name)
        bounds = [] if each is None else [each]
        if total is not None:
            kept = sum(_taken(s)[name] for s in mine)
            rest = total - sum(_taken(s)[name] for s in used)
            if rest <= 0 and not mine:
                return None
            part = max(0, rest) / (waiting + 1)
            # A share of less than one evaluation, or token, is none: the first ones take it.
            whole = name in ("evaluations", "tokens")
            bounds.append(kept + min(max(0, rest), math.ceil(part)) if whole else kept + part)
        left[name] = min(bounds, default=None)
    return Limits(**left)


def _taken(summary: Summary) -> dict[str, float]:
    spending = summary.spending
    return {
        "evaluations": summary.evaluations,
        "seconds": summary.elapsed_s,
        "tokens": spending.input_tokens + spending.output_tokens + spending.unsure_tokens,
        "usd": spending.usd_at_most,
    }
