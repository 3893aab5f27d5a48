"""Runs by number, as commands name them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foundry.errors import UsageError, unknown

if TYPE_CHECKING:
    from foundry.store import Store
    from foundry.store.records import RunRecord


def pick(store: Store, number: int | None) -> list[RunRecord]:
    """The searches of a run: itself, or those of an autorun; the latest when none is named.

    Raises:
        UsageError: No such run, or one that is no search.
    """
    runs = [run for run in store.runs() if run.kind in ("search", "autorun")]
    if not runs:
        raise UsageError("no searches in this database; next: discover search softmax")
    if number is None:
        return _searches(store, _latest(runs))
    for run in store.runs():
        if run.id == number:
            if run not in runs:
                raise UsageError(f"run {number} is a foundry run, not a search; see foundry report")
            return _searches(store, run)
    raise unknown("run", str(number), (str(run.id) for run in runs))


def pick_one(store: Store, number: int | None) -> RunRecord:
    """One search: the run of that number, or the latest; of an autorun, the one begun last.

    Raises:
        UsageError: No such run, one that is no search, or an autorun that has not begun any.
    """
    found = pick(store, number)
    if not found:
        raise UsageError("that autorun has not begun a search yet; see discover report")
    return found[-1]


def _latest(runs: list[RunRecord]) -> RunRecord:
    """The run begun last; an autorun begins before the searches that are parts of it."""
    last = runs[-1]
    part_of = last.settings.get("part_of")
    return next((run for run in runs if part_of == part_name(run)), last)


def part_name(run: RunRecord) -> str:
    """How the searches of an autorun name it."""
    return f"autorun {run.id}"


def _searches(store: Store, run: RunRecord) -> list[RunRecord]:
    from discover.history.summary import searches

    if run.kind == "search":
        return [run]
    return searches(store, part_of=part_name(run))
