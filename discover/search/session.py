"""From what was asked to a search that runs, and to its run in the database.

`run_search` takes up the unfinished run of the same request, or begins one; however it ends, the
run is marked and what was saved stays.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from discover.budget.estimate import Priced, estimate
from discover.budget.limits import Budget, Limits
from discover.budget.pricing import FREE, size_bytes
from discover.calls.roster import Roster, seats_of
from discover.history.journal import Journal
from discover.proposers.keys import without_secrets
from discover.protocol import Context, Proposer, Request
from discover.search.interrupt import interrupts
from discover.search.roots import roots
from discover.search.search import Search
from discover.search.second_looks import set_aside
from discover.search.settings import SearchRequest, SearchSettings
from discover.search.task import Evaluate, Outcome, Task
from discover.search.watch import Watch
from discover.search.workbench import Workbench
from foundry.errors import UsageError, unknown
from foundry.harness.sandbox import Level, shortage
from foundry.judge.options import Rivals, bench_workloads
from foundry.judge.verdict import Evaluation
from foundry.program import Device
from foundry.report.predicted import MODEL
from foundry.store.records import Outcome as RunOutcome
from ops.declaring.cases import at_shapes
from ops.spec import Op

if TYPE_CHECKING:
    from foundry.store import Store

Stopping = Callable[[], bool]
REMOTE_PARALLEL = 4
"""Expansions in flight by default when a proposer takes its time."""


def checked_op(request: SearchRequest) -> Op:
    """The op at the shapes that are asked for, with dtype and bench label checked.

    Raises:
        UsageError: An unknown name, with the nearest, or a shape that is none of the op's.
    """
    from ops import registry

    op = at_shapes(registry.get(request.op), request.shapes)
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


class OpenSearch:
    """A search that is open: it goes on within limits that may grow, and rests in between."""

    def __init__(self, run_id: int, search: Callable[[Stopping], Search], *, wait: bool) -> None:
        """Take what makes the search of a run.

        Args:
            run_id: Its run.
            search: Makes it, given what says whether somebody wants it to leave.
            wait: On Ctrl-C, wait for answers that are on their way.
        """
        self.run_id = run_id
        self._wait = wait
        self._asked: Stopping = lambda: False
        self._search = search(lambda: self._asked())
        self.ended: RunOutcome | None = None
        """How it ended when it went on last."""

    def go_on(self, limits: Limits) -> Outcome:
        """Search within limits.

        Raises:
            EnvironmentUnusable: The device stopped working.
            KeyboardInterrupt: Everything judged so far is kept.
        """
        self.ended = None
        with interrupts(wait=self._wait) as self._asked:
            outcome = self._search.go_on(limits)
        self.ended = _ending(outcome)
        return outcome

    def rewards(self) -> list[float | None]:
        """What every judged kernel earned, in order."""
        return self._search.rewards()


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
    with open_search(bench, request, proposers, watch) as opened:
        return opened.go_on(request.limits)


@contextmanager
def open_search(
    bench: Workbench,
    request: SearchRequest,
    proposers: Sequence[Proposer],
    watch: Watch,
) -> Iterator[OpenSearch]:
    """The search of one op, begun or taken up; its run is marked when the block ends.

    Raises:
        UsageError: An unknown name, or another process is at work on the same search.
        EnvironmentUnusable: Kernels of strangers must not run here.
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
    journal, is_earlier = journal_of(bench, request)
    restored = journal.restore() if is_earlier else None
    if restored is not None:
        bench.seat.judge.expect_looks(op.name, request.dtype, restored.timed)
    evaluate = evaluator(bench, request, op, counted=request.settings.counters and remote)

    def made(stopping: Stopping) -> Search:
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
        search.take_up(starts, restored)
        return search

    opened: OpenSearch | None = None
    with _marked(bench.store, journal.run_id, lambda: opened.ended if opened else None):
        opened = OpenSearch(journal.run_id, made, wait=request.settings.wait)
        yield opened


def _ending(outcome: Outcome) -> RunOutcome:
    if outcome.broken:
        return "interrupted"
    return "budget" if outcome.by_budget else "done"


def judged_before(bench: Workbench, request: SearchRequest) -> int:
    """Evaluations of the unfinished search that this request takes up; 0 where it begins one."""
    run_id = bench.store.resumable("search", _key(bench, request))
    return sum(run.evaluations for run in bench.store.runs(run_id)) if run_id is not None else 0


def estimates(
    bench: Workbench,
    request: SearchRequest,
    proposers: Sequence[Proposer],
    done: int,
    searches: int = 1,
) -> list[str]:
    """What the calls of a search will cost, one line per proposer that costs something.

    Args:
        bench: Prices, and what earlier answers needed.
        request: The search; of several, the first, with what all of them may use.
        proposers: Who is asked.
        done: Evaluations of earlier sessions.
        searches: How many.
    """
    op, device = checked_op(request), bench.seat.device
    asked = []
    for seat in seats_of(proposers, bench.prices, request.limits, request.settings):
        first = seat.proposer.request(Context(op, request.dtype, device, parent=None))
        if seat.proposer.remote and seat.price is not FREE and isinstance(first, Request):
            usual = bench.store.usual_tokens(seat.proposer.model or "")
            inputs = seat.input_bound(size_bytes(first))
            asked.append(Priced(seat.title, seat.price, inputs, first.max_output_tokens, usual))
    limit, confirm = request.limits.evaluations, confirmed(request.settings, device).confirm
    each = None if limit is None else limit // searches
    starts = sum(1 for _ in roots(request, op, bench.store, device))
    # What was judged before has its roots among it.
    judged = max(done, searches * starts) + searches * set_aside(confirm, each)
    return estimate(asked, request.limits, judged)


def confirmed(settings: SearchSettings, device: Device) -> SearchSettings:
    """Settings on a device: what is predicted is predicted again alike: no second look."""
    return settings.model_copy(update={"confirm": 0}) if device.kind == MODEL else settings


def task_of(bench: Workbench, request: SearchRequest, op: Op, *, remote: bool) -> Task:
    """What one search works on."""
    settings = confirmed(request.settings, bench.seat.device)
    workers = bench.seat.pool.workers
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
def _marked(store: Store, run_id: int, ended: Callable[[], RunOutcome | None]) -> Iterator[None]:
    """Mark a run as its search ended, also where something else ends the block early."""
    try:
        yield
    except BaseException as error:
        early: RunOutcome = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        # The reason is on its way out; a database that is at fault cannot be told of it.
        with suppress(Exception):
            store.finish_run(run_id, ended() or early)
        raise
    store.finish_run(run_id, ended() or "interrupted")


def journal_of(bench: Workbench, request: SearchRequest) -> tuple[Journal, bool]:
    """The rows of a search, and whether there are earlier ones: of its unfinished run.

    Raises:
        UsageError: Another process is at work on the same search.
    """
    device, store = bench.seat.device, bench.store
    run_id = store.resumable("search", _key(bench, request))
    if run_id is not None:
        store.resume_run(run_id)
        return Journal(store, run_id, device, request.dtype), True
    command, seed = without_secrets(request.command), request.settings.seed
    run_id = store.begin_run("search", command, request.key(), seed, device)
    return Journal(store, run_id, device, request.dtype), False


def _key(bench: Workbench, request: SearchRequest) -> str:
    from foundry.store import settings_key

    return settings_key(request.key(), request.settings.seed, bench.seat.device)
