"""The store: every run, kernel, evaluation, LLM call and search node, in one database.

1. `Store.open` finds the database (`location`), connects (`connection`), refuses what is newer or
   foreign and migrates what is older (`schema`, `migrations`).
2. Every method is one transaction: it happened, or it did not. `with store.transaction():` makes
   several one, such as an LLM's answer and the kernels that came of it.
3. A kill at any moment leaves everything readable that a method had returned from.

| file | owns |
|---|---|
| tables | the tables, and the SQL of each |
| records | what is handed out |
| shortest, lessons, validations | SQL of one subject each |
| location, connection, session, filelock, serverlock | where the database is, transactions, locks |
| database_errors | database errors in one line |
| schema, migrations | revisions |

One `Store` may be used from several threads; they take turns. Other processes open their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from foundry.errors import UsageError
from foundry.judge.verdict import JUDGE_VERSION, Evaluation, Status
from foundry.kernel import Kernel, render
from foundry.logins import without_logins
from foundry.program import Device
from foundry.store import schema
from foundry.store.connection import alone, connect
from foundry.store.database_errors import explained
from foundry.store.environment import capture
from foundry.store.filelock import FileLock
from foundry.store.location import Location, locate
from foundry.store.records import (
    CallRecord,
    CallState,
    NodeRecord,
    Origin,
    Outcome,
    Overview,
    RunKind,
    RunRecord,
    StoredEvaluation,
    Tokens,
)
from foundry.store.serverlock import ServerLock
from foundry.store.session import Session
from foundry.store.tables import evaluations, ledger, models, runs, tree
from foundry.store.tables.evaluations import Filter
from foundry.store.tables.rows import insert_evaluation, keep

_PAGE = 200


class Store(Session):
    """An open database. `Store.open` makes one; a `with` block closes it."""

    def __init__(
        self,
        location: Location,
        connection: Connection,
        *,
        read_only: bool,
        clock: Callable[[], datetime],
    ) -> None:
        super().__init__(location, connection, read_only=read_only)
        self._clock = clock
        self._claims: dict[int, FileLock | ServerLock] = {}

    @classmethod
    def open(
        cls,
        url: str | None = None,
        *,
        read_only: bool = False,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> Store:
        """Open a database, made and migrated where needed.

        Args:
            url: SQLAlchemy URL or path of an SQLite file; by default FOUNDRY_DB, then
                `runs/foundry.db`.
            read_only: For reports: makes no file and migrates nothing.
            clock: Gives the current time, with its zone.

        Raises:
            UsageError: Not a database URL.
            EnvironmentUnusable: Missing, unreadable, damaged, foreign, or of a newer schema.
        """
        location = locate(url)
        if read_only and not location.exists:
            raise schema.missing(location)
        if not read_only:
            location.make_folder()
        with explained(location), alone(location, writing=not read_only):
            connection = connect(location, read_only=read_only)
        store = cls(location, connection, read_only=read_only, clock=clock)
        try:
            store.settle_schema()
        except BaseException:
            store.close()
            raise
        return store

    def close(self) -> None:
        """Give up every claim and close the connection; a second call does nothing."""
        while self._claims:
            self._claims.popitem()[1].discard()
        super().close()

    # Runs

    def begin_run(
        self,
        kind: RunKind,
        command: str,
        settings: Mapping[str, Any],
        seed: int,
        device: Device,
    ) -> int:
        """Start a run; the environment is captured here. Returns its id."""
        values: dict[str, Any] = {
            "kind": kind,
            "command": without_logins(command),
            "settings": dict(settings),
            "settings_key": runs.settings_key(settings, seed, device),
            "seed": seed,
            "environment": capture(),
            "judge_version": JUDGE_VERSION,
            "started_at": self._clock(),
            "resumed": 0,
        }
        with self._writing() as connection:
            self._keep_device(connection, device)
            run_id = runs.insert_run(connection, values | {"device_id": device.id})
        self._claim(run_id)
        return run_id

    def resumable(self, kind: RunKind, settings_key: str) -> int | None:
        """The latest run with this `settings_key` that is not done, whoever works on it."""
        with self._reading() as connection:
            return runs.unfinished(connection, kind, settings_key, JUDGE_VERSION)

    def resume_run(self, run_id: int) -> None:
        """Take a run up again.

        Raises:
            UsageError: Another process is at work on it, or there is no such run.
        """
        self._claim(run_id)
        with self._writing() as connection:
            again = runs.RESUMED + 1
            runs.change(connection, run_id, outcome=None, finished_at=None, resumed=again)

    def finish_run(self, run_id: int, outcome: Outcome) -> None:
        """Say how a run ended."""
        with self._writing() as connection:
            runs.change(connection, run_id, outcome=outcome, finished_at=self._clock())
        if claim := self._claims.pop(run_id, None):
            claim.discard()

    def runs(self, run_id: int | None = None) -> list[RunRecord]:
        """Every run, oldest first; or that of one id, if there is one."""
        with self._reading() as connection:
            return runs.load_runs(connection, run_id)

    def _claim(self, run_id: int) -> None:
        """Hold a run against other processes until it is finished or this one ends."""
        claim = None if run_id in self._claims else self._claim_of(run_id)
        if claim is None:
            return
        if not claim.try_acquire():
            raise UsageError(
                f"run {run_id} is at work in another process; wait for it, "
                "or choose another --seed or --db"
            )
        self._claims[run_id] = claim

    def _claim_of(self, run_id: int) -> FileLock | ServerLock | None:
        """A lock beside the file, or of the server; None where the database has neither."""
        if self.location.path is not None:
            return FileLock(self.location.path, f"run-{run_id}")
        is_known = self.location.url.get_backend_name() == "postgresql"
        return ServerLock(self._reading, run_id) if is_known else None

    def _keep_device(self, connection: Connection, device: Device) -> None:
        values = {
            "id": device.id,
            "kind": device.kind,
            "name": device.name,
            "fingerprint": dict(device.fingerprint),
            "created_at": self._clock(),
        }
        keep(connection, models.devices, values)

    # Evaluations

    def save(
        self,
        run_id: int,
        kernel: Kernel | None,
        text: str,
        evaluation: Evaluation,
        origin: Origin,
        parent_hash: str | None = None,
    ) -> int:
        """Save an evaluation with its kernel. Returns its id.

        Args:
            run_id: The run that made it.
            kernel: None when `text` is no kernel; `text` is then kept as it is.
            text: What was given to the judge.
            evaluation: Of this kernel, on the device of the run.
            origin: Where the kernel came from.
            parent_hash: The kernel it was made from.

        Raises:
            ValueError: The evaluation is of another kernel.
        """
        if kernel is not None and kernel.hash != evaluation.kernel_hash:
            raise ValueError(f"evaluation of {evaluation.kernel_hash}, kernel is {kernel.hash}")
        now = self._clock()
        provenance = {
            "run_id": run_id,
            "origin_kind": origin.kind,
            "origin_name": origin.name,
            "origin_detail": dict(origin.detail),
            "parent_hash": parent_hash,
            "created_at": now,
        }
        kept = {
            "hash": evaluation.kernel_hash,
            "op": evaluation.op,
            "text": text if kernel is None else render(kernel),
            "created_at": now,
        }
        with self._writing() as connection:
            keep(connection, models.kernels, kept)
            return insert_evaluation(connection, evaluation, provenance)

    def find_evaluation(self, kernel_hash: str, device_id: str, dtype: str) -> Evaluation | None:
        """What this judge version knows of a kernel on a device.

        A disproof comes before a pass, a timed pass before an untimed one, then the latest.
        """
        with self._reading() as connection:
            return evaluations.find(connection, kernel_hash, device_id, dtype)

    def evaluations(
        self,
        op: str | None = None,
        status: Status | None = None,
        device_id: str | None = None,
        run_id: int | None = None,
        limit: int | None = None,
        *,
        newest_first: bool = False,
    ) -> Iterator[StoredEvaluation]:
        """Evaluations in the order in which they were saved, read page by page."""
        chosen = Filter(op, status, device_id, run_id)
        after, left = None, limit
        while left is None or left > 0:
            size = _PAGE if left is None else min(_PAGE, left)
            with self._reading() as connection:
                found = evaluations.page(connection, chosen, after, size, newest_first=newest_first)
            yield from found
            if len(found) < size:
                return
            after = found[-1].id
            left = None if left is None else left - size

    def best(
        self, op: str, device_id: str, dtype: str, limit: int | None = 1
    ) -> list[StoredEvaluation]:
        """Proven kernels by the lower bound of their speedup, highest first.

        Each counts with its latest timed evaluation; one that is disproved there does not count.
        """
        with self._reading() as connection:
            return evaluations.best(connection, op, device_id, dtype, limit)

    def overview(self) -> list[Overview]:
        """What is stored, one entry per op, dtype and device."""
        with self._reading() as connection:
            return evaluations.overview(connection)

    def origins(self) -> dict[str, tuple[Origin, str | None]]:
        """Where every kernel first came from, and its parent then, by hash."""
        with self._reading() as connection:
            return evaluations.origins(connection)

    def kernel_hash(self, prefix: str) -> str:
        """The whole hash of the one kernel whose hash starts with `prefix`.

        Raises:
            UsageError: No kernel, or several.
        """
        with self._reading() as connection:
            return evaluations.resolve(connection, prefix)

    def kernel_text(self, kernel_hash: str) -> str:
        """The text of a kernel by its hash, or the first digits of it.

        Raises:
            UsageError: No kernel, or several.
        """
        with self._reading() as connection:
            return evaluations.kernel_text(connection, evaluations.resolve(connection, kernel_hash))

    # LLM calls

    def begin_call(
        self,
        run_id: int,
        proposer: str,
        model: str,
        request_hash: str,
        request: Mapping[str, Any],
        *,
        most_tokens: int | None = None,
        most_usd: float | None = None,
    ) -> int:
        """Write a call down before it is sent. Returns its id.

        `most_tokens` and `most_usd` bound what it may use: a lost call is counted as that.
        """
        values = {
            "run_id": run_id,
            "proposer": proposer,
            "model": model,
            "request_hash": request_hash,
            "request": dict(request),
            "most_tokens": most_tokens,
            "most_usd": most_usd,
            "sent_at": self._clock(),
        }
        with self._writing() as connection:
            return ledger.insert_call(connection, values)

    def finish_call(
        self,
        call_id: int,
        *,
        state: CallState,
        response: Any = None,
        tokens: Tokens | None = None,
        cost_usd: float | None = None,
        error: str | None = None,
        provider_request_id: str | None = None,
    ) -> None:
        """Write down what became of a call."""
        values = {
            "state": CallState(state).value,
            "response": response,
            "cost_usd": cost_usd,
            "error": error,
            "provider_request_id": provider_request_id,
            "finished_at": self._clock(),
        }
        with self._writing() as connection:
            ledger.finish(connection, call_id, tokens or Tokens(), values)

    def lose_calls(self, run_id: int) -> list[CallRecord]:
        """After a kill: mark the calls that were under way as lost, and return them."""
        with self._writing() as connection:
            return ledger.lose(connection, run_id, self._clock())

    def calls(self, run_id: int) -> list[CallRecord]:
        """The calls of a run in the order in which they were sent."""
        with self._reading() as connection:
            return ledger.load_calls(connection, run_id)

    def usual_tokens(self, model: str) -> tuple[float, float] | None:
        """Mean tokens in and out of the answers of a model; None before the first."""
        with self._reading() as connection:
            return ledger.usual_tokens(connection, model)

    # Search tree

    def save_node(self, run_id: int, node: NodeRecord) -> None:
        """Insert a node of a search tree, or replace what is stored of it."""
        with self._writing() as connection:
            tree.save(connection, run_id, node, self._clock())

    def nodes(self, run_id: int) -> list[NodeRecord]:
        """The nodes of a run by id."""
        with self._reading() as connection:
            return tree.load(connection, run_id)
