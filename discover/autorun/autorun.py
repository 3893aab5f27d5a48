"""Several searches from one recipe, one after another, as one run that can be taken up again.

1. The run begins, or the unfinished one of the same recipe goes on.
2. Each op is searched within what the recipe allows it and its share of what is left of the total;
   searches that are done already are passed over, one that was cut short goes on. Where the ops are
   those of a model, they take turns, slice by slice, as `whole` says; each stays open meanwhile.
3. A fault that ends every proposer (a spent account, a wrong key) ends the autorun: what is found
   stays, and the same command goes on once it is mended. One that lies in what is asked for an op
   (answers that are too long, or declined) ends that search alone, and is told at the end.

`products` writes dataset, catalog and report of what was found.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from discover.autorun.recipe import ModelRecipe, Recipe
from discover.autorun.standing import SLICE, Standing, reached, state_of, stored
from discover.autorun.whole import next_op
from discover.budget.limits import Limits
from discover.budget.pricing import Prices
from discover.calls.checking import check
from discover.calls.roster import seats_of
from discover.history.summary import Summary, searches, summarise
from discover.proposers.keys import without_login, without_secrets
from discover.protocol import Proposer
from discover.search.session import OpenSearch, checked_op, open_search, run_search
from discover.search.settings import SearchRequest
from discover.search.task import Outcome
from discover.search.watch import Watch
from discover.search.workbench import Workbench
from foundry.report.format import duration
from foundry.store.records import Outcome as RunOutcome


@dataclass(frozen=True)
class Autorun:
    """How an autorun ended."""

    run_id: int
    recipe: Recipe
    """As it was searched."""
    summaries: tuple[Summary, ...]
    resumed: bool
    broken: str | None = None
    """The fault that ended it, or one of its searches, early."""


def check_recipe(recipe: Recipe, proposers: Sequence[Proposer], prices: Prices) -> None:
    """See that a recipe can be searched, before anything is started or spent.

    Raises:
        UsageError: An unknown name, a shape that is none, or a money limit for a model without a
            price.
        EnvironmentUnusable: A proposer would not be answered.
    """
    for allowance in (recipe.per_op, recipe.total):
        seats_of(proposers, prices, allowance, recipe)
    for task in recipe.tasks():
        checked_op(_request(recipe, *task))
    check(proposers)


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
        UsageError: Another process is at work on the same autorun.
        EnvironmentUnusable: The device stopped working.
    """
    run_id, resumed = _begin(bench, recipe, command)
    recipe = _as_begun(bench, recipe, run_id)
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
    return Autorun(run_id, recipe, tuple(_summaries(bench, run_id)), resumed, broken)


@dataclass
class _Night:
    """The searches of one autorun, in order."""

    bench: Workbench
    recipe: Recipe
    command: str
    proposers: Sequence[Proposer]
    watch: Watch
    run_id: int
    done: Callable[[str], None]
    standings: dict[str, Standing] = field(default_factory=dict)
    """By search: from the database at first, then as each of them rests."""
    earlier: list[Standing] = field(default_factory=list)
    """Searches that were begun anew under the same name: what they used is used."""
    finished: set[str] = field(default_factory=set)
    """Searches that are done for good."""
    broken: dict[str, None] = field(default_factory=dict)
    """Faults that ended a search, each once."""
    told: dict[str, str] = field(default_factory=dict)
    """Why each search ended, as it was said last."""

    def __post_init__(self) -> None:
        for run in searches(self.bench.store, part_of=_part_of(self.run_id)):
            summary = summarise(self.bench.store, run)
            self.watch.changed(state_of(summary))
            standing = stored(summary)
            if standing.name in self.standings:
                self.earlier.append(self.standings[standing.name])
            self.standings[standing.name] = standing
            if run.outcome == "done":
                self.finished.add(standing.name)

    def search_all(self) -> tuple[str | None, bool]:
        """Search every op; what ended searches early, and whether a budget ended any.

        What the others leave of the total goes to those that could have used more: a second time
        round.
        """
        if self.recipe.weights:
            with ExitStack() as stack:
                return self._search_by_gain(_Slices(self, stack))
        pending, ended = self.recipe.tasks(), False
        for _ in range(2):
            again = []
            for place, task in enumerate(pending):
                outcome = self._search(*task, waiting=len(pending) - place - 1)
                if outcome and outcome.broken_everywhere:
                    return outcome.broken, ended
                if outcome and outcome.by_budget:
                    again.append(task)
            ended = bool(again)
            # Without a total, a second time round would give nothing more.
            pending = tuple(again) if self.recipe.total != Limits() else ()
        return self.faults(), ended

    def _search_by_gain(self, slices: _Slices) -> tuple[str | None, bool]:
        """Slice by slice, each for the op from which the whole model gains most."""
        open_ops, ended = dict(self.recipe.weights), False
        while (op := next_op(open_ops, self.standings.values())) is not None:
            went_on = False
            for name, dtype in (task for task in self.recipe.tasks() if task[0] == op):
                before = self.evaluations(f"{name} {dtype}")
                outcome = slices.next(name, dtype)
                if outcome and outcome.broken_everywhere:
                    return outcome.broken, ended
                ended = ended or bool(outcome and outcome.by_budget)
                went_on = went_on or self.evaluations(f"{name} {dtype}") > before
            if not went_on:
                del open_ops[op]
        for task in self.recipe.tasks():
            self.done(" ".join(task))
        return self.faults(), ended

    def faults(self) -> str | None:
        """What ended searches early, in one line."""
        return "; ".join(self.broken) or None

    def evaluations(self, name: str) -> int:
        """Of a search, so far."""
        return self.standings[name].evaluations if name in self.standings else 0

    def _search(self, op: str, dtype: str, *, waiting: int) -> Outcome | None:
        """One search within its share; None where it is done, or nothing is left for it."""
        request = self.request(op, dtype)
        limits = self.allowed(request, waiting)
        if limits is None:
            return None
        outcome = None
        if request.name not in self.finished:
            found = replace(request, limits=limits)
            outcome = run_search(self.bench, found, self.proposers, self.watch)
            self.note(request.name, outcome, [])
            self.tell(request.name, outcome)
        self.done(request.name)
        return outcome

    def request(self, op: str, dtype: str) -> SearchRequest:
        """What is asked of one search."""
        asked = _request(self.recipe, op, dtype)
        return replace(asked, command=self.command, part_of=_part_of(self.run_id))

    def allowed(self, request: SearchRequest, waiting: int) -> Limits | None:
        """What a search may use; None, which is told, where nothing is left for it."""
        used = list(self.standings.values())
        limits = share(self.recipe, used, request.name, waiting, self.earlier)
        if limits is None:
            self.watch.event(f"{request.name}: the budget of the recipe is used up")
        return limits

    def tell(self, name: str, outcome: Outcome) -> None:
        """Say why a search ended, and who was away meanwhile; once, where nothing came since."""
        away = [f"; {who} was away for {duration(s)}" for who, s in outcome.away_s.items()]
        said = f"{outcome.reason}{''.join(away)}"
        if self.told.get(name) != said:
            self.watch.event(f"{name} ended: {said}")
        self.told[name] = said

    def note(self, name: str, outcome: Outcome, rewards: list[float | None]) -> None:
        """Keep how far a search has come."""
        self.standings[name] = reached(name, outcome, rewards)
        if outcome.broken:
            self.broken[outcome.broken] = None
        elif not outcome.by_budget:
            self.finished.add(name)


@dataclass
class _Slices:
    """Searches that take turns: each stays open, with its baselines and inputs, until the end."""

    night: _Night
    stack: ExitStack
    opened: dict[str, OpenSearch] = field(default_factory=dict)

    def next(self, op: str, dtype: str) -> Outcome | None:
        """Some more evaluations for a search; None where it is done, or nothing is left for it."""
        night, request = self.night, self.night.request(op, dtype)
        limits = night.allowed(request, 0)
        outcome = None
        if limits is not None and request.name not in night.finished:
            most = night.evaluations(request.name) + SLICE
            left = most if limits.evaluations is None else limits.evaluations
            within = replace(limits, evaluations=min(most, left))
            search = self._of(replace(request, limits=within))
            outcome = search.go_on(within)
            night.note(request.name, outcome, search.rewards())
            night.tell(request.name, outcome)
        if outcome is None or request.name in night.finished:
            night.done(request.name)
        return outcome

    def _of(self, request: SearchRequest) -> OpenSearch:
        if request.name not in self.opened:
            night = self.night
            self.opened[request.name] = self.stack.enter_context(
                open_search(night.bench, request, night.proposers, night.watch)
            )
        return self.opened[request.name]


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
        "steps",
        "elsewhere",
    }
    # Older databases know no shapes: those of a recipe without any are not named.
    unnamed = {"strategy", "repair", "prompt", *([] if recipe.shapes else ["shapes"])}
    kept = recipe.model_dump(mode="json", exclude={*budgets, *unnamed})
    kept["base_url"] = without_login(recipe.base_url)
    return {**kept, **recipe.chosen()}


def judged_before(bench: Workbench, recipe: Recipe) -> int:
    """Evaluations of the unfinished autorun that this recipe goes on with; 0 where it begins."""
    run_id = bench.store.resumable("autorun", _key(bench, recipe))
    if run_id is None:
        return 0
    return sum(run.evaluations for run in searches(bench.store, part_of=_part_of(run_id)))


def _key(bench: Workbench, recipe: Recipe) -> str:
    from foundry.store import settings_key

    return settings_key(settings(recipe), recipe.seed, bench.seat.device)


def _begin(bench: Workbench, recipe: Recipe, command: str) -> tuple[int, bool]:
    store, said = bench.store, without_secrets(command)
    run_id = store.resumable("autorun", _key(bench, recipe))
    if run_id is None:
        device, kept = bench.seat.device, settings(recipe)
        return store.begin_run("autorun", said, kept, recipe.seed, device), False
    store.resume_run(run_id)
    return run_id, True


def _as_begun(bench: Workbench, recipe: Recipe, run_id: int) -> Recipe:
    """The recipe with the shapes at which searches of a model were begun: they stay."""
    if not isinstance(recipe, ModelRecipe):
        return recipe
    begun = {
        run.settings["op"]: tuple(run.settings["shapes"])
        for run in searches(bench.store, part_of=_part_of(run_id))
        if "shapes" in run.settings
    }
    return recipe.model_copy(update={"steps": {**recipe.steps, **begun}})


def _request(recipe: Recipe, op: str, dtype: str) -> SearchRequest:
    shapes = recipe.shapes_of(op)
    return SearchRequest(op, dtype, recipe.per_op, "", recipe, shapes=shapes)


def _part_of(run_id: int) -> str:
    return f"autorun {run_id}"


def _summaries(bench: Workbench, run_id: int) -> list[Summary]:
    found = searches(bench.store, part_of=_part_of(run_id))
    return [summarise(bench.store, run) for run in found]


def share(
    recipe: Recipe,
    used: Sequence[Standing],
    own: str,
    waiting: int,
    earlier: Sequence[Standing] = (),
) -> Limits | None:
    """What the next search may use in all: its own allowance, within its share of the total.

    Those that wait keep a share as large as its own; what a search leaves goes to them.

    Args:
        recipe: Both allowances.
        used: The searches of this autorun so far.
        own: Name of the next search; what it used in an earlier session is its own to keep.
        waiting: Searches that come after it.
        earlier: Searches that were begun anew under their names, and do not go on.

    Returns:
        None where nothing is left to begin with.
    """
    mine = [standing for standing in used if standing.name == own]
    before = [standing for standing in earlier if standing.name == own]
    left: dict[str, Any] = {}
    for name in ("evaluations", "seconds", "tokens", "usd"):
        each, total = getattr(recipe.per_op, name), getattr(recipe.total, name)
        gone = sum(_taken(s)[name] for s in before)
        if before and each is not None and gone >= each:
            return None
        bounds = [] if each is None else [each - gone]
        if total is not None:
            kept = sum(_taken(s)[name] for s in mine)
            rest = total - sum(_taken(s)[name] for s in (*used, *earlier))
            if rest <= 0 and not mine:
                return None
            part = max(0, rest) / (waiting + 1)
            # A share of less than one evaluation, or token, is none: the first ones take it.
            whole = name in ("evaluations", "tokens")
            bounds.append(kept + min(max(0, rest), math.ceil(part)) if whole else kept + part)
        left[name] = min(bounds, default=None)
    return Limits(**left)


def _taken(standing: Standing) -> dict[str, float]:
    return {
        "evaluations": standing.evaluations,
        "seconds": standing.elapsed_s,
        "tokens": standing.at_most.tokens,
        "usd": standing.at_most.usd,
    }
