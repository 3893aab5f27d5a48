"""From what was asked to a search that runs: database, workers, judge, proposers, roots.

1. Proposers are made first: a missing key or an unknown name costs nothing.
2. `Workbench` holds what searches share: the database, the worker pool, the judge, the prices.
3. `run_search` takes up the unfinished run of the same settings, or begins one; however it ends,
   the run is marked and what was saved stays.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from discover.budget import pricing
from discover.budget.limits import Budget, Limits
from discover.budget.pricing import FREE, Price, Prices
from discover.calls.retry import RetryPolicy
from discover.calls.roster import Roster, Seat
from discover.drafts.draft import Draft
from discover.history.journal import Journal, Restored
from discover.proposers.keys import is_local
from discover.proposers.registry import make
from discover.protocol import Proposer, ProposerOptions
from discover.search.search import Search
from discover.search.task import Outcome, Task
from discover.search.watch import Watch
from discover.selection.puct import DEFAULT_EXPLORATION
from foundry.errors import InvalidKernel, UsageError, unknown
from foundry.harness.sandbox import Level, shortage
from foundry.judge.options import SANITIZER, JudgeOptions, bench_workloads, is_settled
from foundry.judge.verdict import Evaluation
from foundry.kernel import check, parse
from foundry.store.records import Origin
from foundry.store.records import Outcome as RunOutcome
from ops.spec import Op

if TYPE_CHECKING:
    from foundry.harness.processes.pool import WorkerPool
    from foundry.judge import Judge
    from foundry.store import Store

STORED_ROOTS = 3
"""Best kernels of earlier runs that a search starts from."""
REMOTE_PARALLEL = 4
"""Expansions in flight by default when a proposer takes its time."""


@dataclass(frozen=True)
class SearchRequest:
    """What `discover search` was asked for one op in one dtype."""

    op: str
    dtype: str
    proposers: tuple[str, ...]
    limits: Limits
    seed: int
    command: str
    bench: str = "quick"
    options: ProposerOptions = field(default_factory=ProposerOptions)
    parallel: int | None = None
    exploration: float = DEFAULT_EXPLORATION
    confirm: int = 3
    kernel_file: Path | None = None
    from_scratch: bool = False
    """Leave the winners of earlier runs aside."""
    counters: bool = True
    """Let LLMs know what the SIMD-groups of a parent do to memory."""
    part_of: str = ""
    """The autorun it belongs to: another autorun does not take it up."""

    def settings(self) -> dict[str, Any]:
        """What two commands share that continue one another; budgets may differ."""
        return {
            "op": self.op,
            "dtype": self.dtype,
            "proposers": list(self.proposers),
            "bench": self.bench,
            "base_url": self.options.base_url,
            "effort": self.options.effort,
            "exploration": self.exploration,
            "kernel_file": str(self.kernel_file) if self.kernel_file else None,
            "from_scratch": self.from_scratch,
            "part_of": self.part_of,
        }


@dataclass(frozen=True)
class Workbench:
    """What searches on one device share."""

    store: Store
    pool: WorkerPool
    judge: Judge
    prices: Prices
    bench: str
    retry: RetryPolicy = field(default_factory=RetryPolicy)


@contextmanager
def workbench(
    db: str | None, device: str, workers: int, bench: str, own_prices: Path | None = None
) -> Iterator[Workbench]:
    """Open the database and the workers.

    Raises:
        EnvironmentUnusable: Database or device cannot be used.
        UsageError: No price file.
    """
    from foundry.harness.processes.pool import WorkerPool
    from foundry.judge import Judge
    from foundry.store import Store

    prices = pricing.load(own_prices)
    with Store.open(db) as store, WorkerPool(device, workers) as pool:
        yield Workbench(
            store, pool, Judge(pool, JudgeOptions(bench=bench, screen=SANITIZER)), prices, bench
        )


def checked_op(request: SearchRequest) -> Op:
    """The op, with dtype and bench label checked.

    Raises:
        UsageError: An unknown name, with the nearest.
    """
    from ops import registry

    op = registry.get(request.op)
    if request.dtype not in op.dtypes:
        raise unknown(f"dtype of {op.name}", request.dtype, op.dtypes)
    bench_workloads(op, request.dtype, request.bench)
    return op


@contextmanager
def proposers_of(specs: Sequence[str], options: ProposerOptions) -> Iterator[tuple[Proposer, ...]]:
    """Make proposers, and close them at the end.

    Raises:
        UsageError: An unknown proposer, or one named twice.
        EnvironmentUnusable: No key for a named LLM.
    """
    with ExitStack() as stack:
        found: list[Proposer] = []
        for spec in specs:
            proposer = make(spec, options)
            stack.callback(proposer.close)
            if proposer.name in {other.name for other in found}:
                raise UsageError(f"proposer '{proposer.name}' is named twice; name it once")
            found.append(proposer)
        yield tuple(found)


def seats_of(
    proposers: Sequence[Proposer], prices: Prices, limits: Limits, options: ProposerOptions
) -> list[Seat]:
    """A seat per proposer, with its price.

    Raises:
        UsageError: A money limit, and a model without a known price.
    """
    seats = [Seat(p, _price(p, prices, options)) for p in proposers]
    for seat in seats:
        if limits.usd is not None and seat.price is None:
            raise UsageError(
                f"no price is known for {seat.title}, so --max-cost cannot be kept; "
                "give one with --pricing FILE, or limit --max-tokens instead"
            )
    return seats


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
    roots = list(_roots(bench, request, op))
    if not roots and not any(p.remote for p in proposers):
        raise UsageError(
            f"no kernel of {op.name} to start from: it has no template; give one with --from FILE, "
            "or ask an LLM with --llm"
        )
    seats = seats_of(proposers, bench.prices, request.limits, request.options)
    remote = any(p.remote for p in proposers)
    if remote and (reason := shortage(Level.FILTERED, bench.pool.level)):
        raise reason
    journal, restored = _journal(bench, request)
    task = Task(
        op=op,
        dtype=request.dtype,
        device=bench.pool.device(),
        timed=bench_workloads(op, request.dtype, request.bench),
        seed=request.seed,
        exploration=request.exploration,
        parallel=request.parallel or max(bench.pool.workers, REMOTE_PARALLEL if remote else 1),
        confirm=request.confirm,
        retry=bench.retry,
    )
    search = Search(
        task,
        Roster(seats),
        journal,
        Budget(request.limits, started_s=time.monotonic()),
        evaluate=_evaluator(bench, op, request.dtype, counted=request.counters and remote),
        settled=lambda evaluation: is_settled(evaluation, op, request.bench),
        clock=time.monotonic,
        watch=watch,
    )
    with _marked(bench.store, journal.run_id):
        outcome = search.run(roots, restored)
    bench.store.finish_run(journal.run_id, "interrupted" if outcome.broken else "done")
    return outcome


def _evaluator(
    bench: Workbench, op: Op, dtype: str, *, counted: bool
) -> Callable[[str, int], Evaluation]:
    def evaluate(text: str, seed: int) -> Evaluation:
        found = bench.judge.evaluate(text, op, dtype, seed)
        if not counted:
            return found
        from foundry.judge.time.counting import with_counters

        return with_counters(bench.pool, found, text, op)

    return evaluate


def finished_run(bench: Workbench, request: SearchRequest) -> int | None:
    """The run of these settings that is done already, or None."""
    from foundry.store import settings_key

    key = settings_key(request.settings(), request.seed, bench.pool.device())
    return next(
        (
            run.id
            for run in reversed(bench.store.runs())
            if run.kind == "search" and run.settings_key == key and run.outcome == "done"
        ),
        None,
    )


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


def _journal(bench: Workbench, request: SearchRequest) -> tuple[Journal, Restored | None]:
    from foundry.store import settings_key

    device, store = bench.pool.device(), bench.store
    run_id = store.resumable("search", settings_key(request.settings(), request.seed, device))
    if run_id is None:
        run_id = store.begin_run(
            "search", request.command, request.settings(), request.seed, device
        )
        return Journal(store, run_id, device, request.dtype), None
    store.resume_run(run_id)
    journal = Journal(store, run_id, device, request.dtype)
    return journal, journal.restore()


def _roots(bench: Workbench, request: SearchRequest, op: Op) -> Iterator[Draft]:
    """The kernels a search starts from, the starting template first."""
    from templates import registry, space
    from templates.render import render

    if request.kernel_file is not None:
        yield _own_root(request.kernel_file, op)
    for template in registry.for_op(op.name):
        point = space.default(template)
        yield Draft(render(template, point), Origin("template", template.name, {"knobs": point}))
    if not request.from_scratch:
        device = bench.pool.device()
        for stored in bench.store.best(op.name, device.id, request.dtype, STORED_ROOTS):
            # A kernel of a version whose file format differed cannot be started from any more.
            with suppress(InvalidKernel):
                parse(stored.text)
                yield Draft(stored.text, stored.origin)


def _own_root(path: Path, op: Op) -> Draft:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the kernel {path}: {error}") from None
    kernel = parse(text)
    if kernel.op != op.name:
        raise InvalidKernel(f"{path} is a kernel of '{kernel.op}', not of '{op.name}'")
    check(kernel, op)
    return Draft(text, Origin("file", str(path)))


def _price(
    proposer: Proposer, prices: Mapping[str, Price], options: ProposerOptions
) -> Price | None:
    if not proposer.remote or proposer.name == "replay":
        return FREE
    known = pricing.price_of(prices, proposer.model or "")
    local = options.base_url is not None and is_local(options.base_url)
    return known or (FREE if local else None)
