"""Opens desks: the run is held while somebody is at the desk, and free for others in between.

A desk stays in memory, since an agent comes again and again. Whether it still knows everything
shows in how often its run was taken up: once more than it remembers is by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from discover.budget.limits import Limits
from discover.history.journal import Journal, Restored
from discover.search.desk import Desk
from discover.search.roots import roots
from discover.search.session import checked_op, evaluator, fit_for_strangers, journal_of, task_of
from discover.search.settings import SearchRequest, SearchSettings
from discover.search.watch import Watch
from discover.search.workbench import Workbench
from foundry.errors import UsageError
from foundry.judge.verdict import JUDGE_VERSION
from foundry.program import Device
from foundry.report.predicted import MODEL

if TYPE_CHECKING:
    from foundry.store import Store
    from foundry.store.records import RunRecord


class Desks:
    """The desks of one process."""

    def __init__(
        self, bench: Workbench, watch: Watch, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._bench = bench
        self._watch = watch
        self._clock = clock
        self._kept: tuple[Desk, int] | None = None
        """The latest, and how often its run had been taken up."""

    @contextmanager
    def of_search(self, request: SearchRequest) -> Iterator[Desk]:
        """The desk of a search, taken up or begun; its roots are judged.

        Raises:
            UsageError: An unknown name, or another process is at work on the same search.
            EnvironmentUnusable: The device stopped working, or kernels of strangers must not run
                here.
        """
        op, bench = checked_op(request), self._bench
        fit_for_strangers(bench)
        journal, is_earlier = journal_of(bench, request)
        with self._held(journal, request, is_earlier=is_earlier) as (desk, restored):
            desk.take_up(restored, roots(request, op, bench.store, bench.seat.device))
            yield desk

    @contextmanager
    def of_ticket(self, run_id: int) -> Iterator[Desk]:
        """The desk that handed out the tickets of a run.

        Raises:
            UsageError: No such run, one whose tickets these are not, or one of another device, of
                other bench workloads or of another version of the judge.
            EnvironmentUnusable: The device stopped working, or kernels of strangers must not run
                here.
        """
        run, bench = ticketed(self._bench.store, run_id), self._bench
        _same_measure(bench, run)
        fit_for_strangers(bench)
        request = _request_of(run)
        bench.store.resume_run(run_id)
        journal = Journal(bench.store, run_id, bench.seat.device, request.dtype)
        with self._held(journal, request, is_earlier=True) as (desk, restored):
            desk.take_up(restored, ())
            yield desk

    @contextmanager
    def _held(
        self, journal: Journal, request: SearchRequest, *, is_earlier: bool
    ) -> Iterator[tuple[Desk, Restored | None]]:
        """A desk, and what it must still be told; the run is given free: tickets outlive this."""
        kept, self._kept = self._kept, None
        store, run_id = self._bench.store, journal.run_id
        try:
            times = sum(run.resumed for run in store.runs(run_id))
            if kept is not None and (kept[0].run_id, kept[1] + 1) == (run_id, times):
                desk, restored = kept[0], None
            else:
                desk = self._made(journal, request)
                restored = journal.restore() if is_earlier else None
            with desk.occupied():
                yield desk, restored
            self._kept = desk, times
        finally:
            with suppress(Exception):
                store.finish_run(run_id, "open")

    def _made(self, journal: Journal, request: SearchRequest) -> Desk:
        bench, op = self._bench, checked_op(request)
        task = task_of(bench, request, op, remote=True)
        judge = evaluator(bench, request, op, counted=request.settings.counters)
        return Desk(
            task, journal, judge, self._watch, lambda e: bench.seat.settled(e, op), self._clock
        )


def _request_of(run: RunRecord) -> SearchRequest:
    """What was asked when a run began."""
    kept = {name: run.settings[name] for name in ("strategy", "repair") if name in run.settings}
    settings = SearchSettings(
        proposers=("ask",), bench=run.settings["bench"], seed=run.seed, **kept
    )
    op, dtype = run.settings["op"], run.settings["dtype"]
    return SearchRequest(op, dtype, Limits(), run.command, settings)


def ticketed(store: Store, run_id: int) -> RunRecord:
    """The run that handed out tickets of this number.

    Raises:
        UsageError: No such run, or one that handed out none.
    """
    run = next(iter(store.runs(run_id)), None)
    if run is None or run.kind != "search" or "ask" not in run.settings.get("proposers", ()):
        raise UsageError(f"run {run_id} handed out no tickets; get one with discover ask")
    return run


def _same_measure(bench: Workbench, run: RunRecord) -> None:
    """Refuse a run whose kernels were measured elsewhere, otherwise, or on other workloads."""
    here = bench.seat.device
    if run.device.id != here.id:
        raise UsageError(
            f"run {run.id} is of {run.device.name} ({run.device.kind}), and this is {here.name} "
            f"({here.kind}); choose that one with --device{_as_typed(run.device)}, or get a ticket "
            "here with discover ask"
        )
    if run.judge_version != JUDGE_VERSION:
        raise UsageError(
            f"run {run.id} was judged by version {run.judge_version} of the judge, and this is "
            f"{JUDGE_VERSION}; get a ticket with discover ask, and give the answer under that one"
        )
    if run.settings["bench"] != bench.timed:
        raise UsageError(
            f"run {run.id} times the bench workloads '{run.settings['bench']}', and here "
            f"'{bench.timed}' are timed; choose them with --bench"
        )


def _as_typed(device: Device) -> str:
    """What follows `--device` for a chip that is not here; nothing where its name is no option."""
    return f" {MODEL}:{device.fingerprint['chip']}" if device.kind == MODEL else ""
