"""Several searches from one recipe, one after another, as one run that can be taken up again.

1. The run begins, or the unfinished one of the same recipe goes on.
2. Each op is searched within what the recipe allows it and what is left of the total; searches
   that are done already are passed over, one that was cut short goes on.
3. A fault that ends every proposer (a spent account, a wrong key) ends the autorun: what is found
   stays, and the same command goes on once it is mended.

`products` writes dataset, catalog and report of what was found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from discover.autorun.recipe import Recipe
from discover.budget.limits import Limits
from discover.calls.roster import seats_of
from discover.history.summary import Spending, Summary, searches, summarise
from discover.protocol import Proposer
from discover.search.session import finished_run, run_search
from discover.search.settings import SearchRequest
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
    tasks = recipe.tasks()
    for allowance in (recipe.per_op, recipe.total):
        seats_of(proposers, bench.prices, allowance, recipe)
    run_id, resumed = _begin(bench, recipe, command)
    broken = None
    try:
        for op, dtype in tasks:
            part = f"autorun {run_id}"
            request = SearchRequest(op, dtype, recipe.per_op, command, recipe, part_of=part)
            limits = _left(recipe, _summaries(bench, run_id), request.name)
            if limits is None:
                watch.event("the total budget of the recipe is used up")
                break
            if finished_run(bench, request) is None:
                outcome = run_search(bench, replace(request, limits=limits), proposers, watch)
                broken = outcome.broken
            done(request.name)
            if broken:
                break
    except BaseException as error:
        # The reason is on its way out; a database that is at fault cannot be told of it.
        with suppress(Exception):
            _finish(
                bench, run_id, "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            )
        raise
    _finish(bench, run_id, "interrupted" if broken else "done")
    return Autorun(run_id, tuple(_summaries(bench, run_id)), resumed, broken)


def settings(recipe: Recipe) -> dict[str, Any]:
    """What two autoruns share that continue one another: all but the budgets."""
    return recipe.model_dump(
        mode="json", exclude={"per_op", "total", "products", "parallel", "counters"}
    )


def _begin(bench: Workbench, recipe: Recipe, command: str) -> tuple[int, bool]:
    from foundry.store import settings_key

    store, device, kept = bench.store, bench.pool.device(), settings(recipe)
    run_id = store.resumable("autorun", settings_key(kept, recipe.seed, device))
    if run_id is None:
        return store.begin_run("autorun", command, kept, recipe.seed, device), False
    store.resume_run(run_id)
    return run_id, True


def _summaries(bench: Workbench, run_id: int) -> list[Summary]:
    found = searches(bench.store, part_of=f"autorun {run_id}")
    return [summarise(bench.store, run) for run in found]


def _finish(bench: Workbench, run_id: int, outcome: RunOutcome) -> None:
    bench.store.finish_run(run_id, outcome)


def _left(recipe: Recipe, used: Sequence[Summary], own: str) -> Limits | None:
    """What the next search may use: its own allowance, within what is left of the total.

    Args:
        recipe: Both allowances.
        used: The searches of this autorun so far.
        own: Name of the next search; what it used in an earlier session is its own to keep.
    """
    others = [s for s in used if f"{s.op} {s.dtype}" != own]
    spent = sum((s.spending for s in others), Spending())
    taken = {
        "evaluations": sum(s.evaluations for s in others),
        "seconds": sum(s.elapsed_s for s in others),
        "tokens": spent.input_tokens + spent.output_tokens,
        "usd": spent.usd,
    }
    left: dict[str, Any] = {}
    for name, value in taken.items():
        each, total = getattr(recipe.per_op, name), getattr(recipe.total, name)
        if total is not None and total - value <= 0:
            return None
        bounds = [b for b in (each, total - value if total is not None else None) if b is not None]
        left[name] = min(bounds, default=None)
    return Limits(**left)
