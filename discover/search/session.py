"""From what was asked to a search that runs, and to its run in the database.

`run_search` takes up the unfinished run of the same request, or begins one; however it ends, the
run is marked and what was saved stays.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from discover.budget.estimate import Priced, estimate
from discover.budget.limits import Budget
from discover.budget.pricing import FREE, size_bytes
from discover.calls.roster import Roster, seats_of
from discover.history.journal import Journal, Restored
from discover.proposers.keys import without_secrets
from discover.protocol import Context, Proposer, Request
from discover.search.interrupt import interrupts
from discover.search.roots import roots
from discover.search.search import Search
from discover.search.settings import SearchRequest
from discover.search.task import Evaluate, Outcome, Task
from discover.search.watch import Watch
from discover.search.workbench import Workbench
from foundry.errors import UsageError, unknown
from foundry.harness.sandbox import Level, shortage
from foundry.judge.options import Rivals, bench_workloads
from foundry.judge.verdict import Evaluation
from foundry.report.predicted import MODEL
from foundry.store.records import Outcome as RunOutcome
from ops.spec import Op

if TYPE_CHECKING:
    from foundry.store import Store

REMOTE_PARALLEL = 4
"""Expansions in flight by default when a proposer takes its time."""


def checked_op(request: SearchRequest) -> Op:
    """The op, with dtype and bench label checked.

    Raises:
        UsageError: An unknown name, with the nearest.
    """
    from ops import registry

    op = registry.get(request.op)
    if request.dtype not in op.dtypes:
        raise unknown(f"dtype of {op.name}", request.dtype, op.dtypes)
    bench_workloads(op, request.dtype, request.settings.bench)
    return op


def fit_for_strangers(bench: Workbench) -> None:
    """See that what others write is held in while it runs.

    Raises:
        EnvironmentUnusable: The workers have no such sandbox, and nobody accepted the risk.
    """
    if reason := shortage(Level.FILTERED, bench.seat.pool.level):
        raise reason


def run_search(
    bench: Workbench,
    request: SearchRequest,
    proposers: Sequence[Proposer],
    watch: Watch,
) -> Outcome:
    """Search one op.

    Raises:
        UsageError: An unknown name, or another process is at work on the same search.
        EnvironmentUnusable: The device stopped working.
    """
    op = checked_op(request)
    remote = any(p.remote for p in proposers)
    starts = list(roots(request, op, bench.store, bench.seat.device))
    if not starts and not remote:
        raise UsageError(
            f"no kernel of {op.name} to start from: it has no template; give one with --from FILE, "
            "or ask an LLM with --llm"
        )
    seats = seats_of(proposers, bench.prices, request.limits, request.settings)
    if remote:
        fit_for_strangers(bench)
    journal, restored = journal_of(bench, request)
    if restored is not None:
        bench.seat.judge.expect_looks(op.name, request.dtype, restored.timed)
    evaluate = evaluator(bench, request, op, counted=request.settings.counters and remote)
    with (
        _marked(bench.store, journal.run_id),
        interrupts(wait=request.settings.wait) as stopping,
    ):
        search = Search(
            task_of(bench, request, op, remote=remote),
            Roster(seats, request.limits),
            journal,
            Budget(request.limits, started_s=time.monotonic()),
            evaluate=evaluate,
            settled=lambda evaluation: bench.seat.settled(evaluation, op),
            clock=time.monotonic,
            watch=watch,
            stopping=stopping,
        )
        outcome = search.run(starts, restored)
    bench.store.finish_run(journal.run_id, _ending(outcome))
    return outcome


def _ending(outcome: Outcome) -> RunOutcome:
    if outcome.broken:
        return "interrupted"
    return "budget" if outcome.by_budget else "done"


def estimates(bench: Workbench, request: SearchRequest, proposers: Sequence[Proposer]) -> list[str]:
    """What the calls of a search will cost, one line per proposer that costs something."""
    op, device = checked_op(request), bench.seat.device
    asked = []
    for seat in seats_of(proposers, bench.prices, request.limits, request.settings):
        first = seat.proposer.request(Context(op, request.dtype, device, parent=None))
        if seat.proposer.remote and seat.price is not FREE and isinstance(first, Request):
            usual = bench.store.usual_tokens(seat.proposer.model or "")
            inputs = seat.input_bound(size_bytes(first))
            asked.append(Priced(seat.title, seat.price, inputs, first.max_output_tokens, usual))
    judged = sum(1 for _ in roots(request, op, bench.store, device)) + request.settings.confirm
    return estimate(asked, request.limits, judged)


def finished_run(bench: Workbench, request: SearchRequest) -> int | None:
    """The run of this request that is done already, or None."""
    key = _key(bench, request)
    return next(
        (
            run.id
            for run in reversed(bench.store.runs())
            if run.kind == "search" and run.settings_key == key and run.outcome == "done"
        ),
        None,
    )


def task_of(bench: Workbench, request: SearchRequest, op: Op, *, remote: bool) -> Task:
    """What one search works on."""
    settings, workers = request.settings, bench.seat.pool.workers
    if bench.seat.device.kind == MODEL:
        # What is predicted is predicted again alike: no second look, and no budget kept for it.
        settings = settings.model_copy(update={"confirm": 0})
    return Task(
        op=op,
        dtype=request.dtype,
        device=bench.seat.device,
        settings=settings,
        timed=bench_workloads(op, request.dtype, settings.bench),
        parallel=settings.parallel or max(workers, REMOTE_PARALLEL if remote else 1),
        retry=bench.retry,
    )


def evaluator(bench: Workbench, request: SearchRequest, op: Op, *, counted: bool) -> Evaluate:
    """The judge of a workbench for one search."""

    def evaluate(text: str, seed: int, rivals: Rivals) -> Evaluation:
        found = bench.seat.judge.evaluate(text, op, request.dtype, seed, rivals=rivals)
        if not counted:
            return found
        from foundry.judge.time.counting import with_counters

        return with_counters(bench.seat.pool, found, text, op)

    return evaluate


@contextmanager
def _marked(store: Store, run_id: int) -> Iterator[None]:
    """Mark a run that ends early."""

    def mark(outcome: RunOutcome) -> None:
        # The reason is on its way out; a database that is at fault cannot be told of it.
        with suppress(Exception):
            store.finish_run(run_id, outcome)

    try:
        yield
    except KeyboardInterrupt:
        mark("interrupted")
        raise
    except BaseException:
        mark("failed")
        raise


def journal_of(bench: Workbench, request: SearchRequest) -> tuple[Journal, Restored | None]:
    """The rows of a search: those of its unfinished run, or of a new one."""
    device, store = bench.seat.device, bench.store
    run_id = store.resumable("search", _key(bench, request))
    if run_id is None:
        seed = request.settings.seed
        run_id = store.begin_run(
            "search", without_secrets(request.command), request.key(), seed, device
        )
        return Journal(store, run_id, device, request.dtype), None
    store.resume_run(run_id)
    journal = Journal(store, run_id, device, request.dtype)
    return journal, journal.restore()


def _key(bench: Workbench, request: SearchRequest) -> str:
    from foundry.store import settings_key

    return settings_key(request.key(), request.settings.seed, bench.seat.device)
