"""A search without processes: the real tree, journal, store and budget, with a scripted judge."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import toy
from toy import DEVICE, OP

from discover.budget.limits import Budget, Limits
from discover.budget.pricing import Price
from discover.calls.flights import Flights, Landed
from discover.calls.retry import RetryPolicy
from discover.calls.roster import Roster
from discover.calls.seat import Seat
from discover.drafts.draft import Draft
from discover.history.journal import Journal
from discover.protocol import Context, Failure, FailureKind, Reply, Request
from discover.search.search import Search
from discover.search.settings import SearchSettings
from discover.search.task import Outcome, Task
from foundry.judge.options import NOBODY, Rivals
from foundry.judge.verdict import Diagnostic, Evaluation, Status
from foundry.kernel import parse
from foundry.program import Device
from foundry.store import Store
from foundry.store.records import Origin, Tokens
from ops.spec import Op

PRICE = Price(input=10.0, output=50.0)
IMPATIENT = RetryPolicy(attempts=4, first_s=0.0, longest_s=0.0, longest_retry_after_s=0.01)


def scored(score: float, salt: str = "") -> str:
    """A kernel that the scripted judge gives this score."""
    return toy.kernel(f"out[0] = x[0] * 2 + shift; const float score = {score};{salt}")


def failing(status: Status, salt: str = "") -> str:
    """A kernel that the scripted judge gives this status."""
    return toy.kernel(f"out[0] = {status.value}(x);{salt}")


def drafts(texts: Sequence[str]) -> list[Draft]:
    """Kernels to start from, as templates give them."""
    return [Draft(text, Origin("template", f"t{i}")) for i, text in enumerate(texts)]


class ScriptedJudge:
    """Reads the verdict off the kernel; keeps what it was asked."""

    def __init__(self, *, interrupt_at: int | None = None) -> None:
        self.texts: list[str] = []
        self._lock = threading.Lock()
        self._interrupt_at = interrupt_at

    def __call__(self, text: str, seed: int, rivals: Rivals = NOBODY) -> Evaluation:
        with self._lock:
            self.texts.append(text)
            if self._interrupt_at is not None and len(self.texts) >= self._interrupt_at:
                raise KeyboardInterrupt
        kernel = parse(text)
        score = re.search(r"score = ([\d.]+)", text)
        if score:
            made = toy.passed(float(score[1]))
        else:
            status = next((s for s in Status if f"{s.value}(x)" in text), Status.CORRECT)
            made = toy.passed(1.0) if status.passed else _failed(status)
        return made.model_copy(update={"kernel_hash": kernel.hash, "seed": seed})


def _failed(status: Status) -> Evaluation:
    return toy.failed(status, Diagnostic(stage="verify", message=f"it is {status}"))


class Scripted:
    """A proposer that plays results in order; the last entry repeats, `None` ends it."""

    may_repair = True

    def __init__(
        self,
        script: Sequence[str | Failure | Callable[[], Reply | Failure]],
        *,
        name: str = "scripted",
        remote: bool = True,
    ) -> None:
        self.name = name
        self.model: str | None = "model-x"
        self.remote = remote
        self.contexts: list[Context] = []
        self.sent: list[Request] = []
        self._script = list(script)
        self._lock = threading.Lock()

    def request(self, context: Context) -> Request | Failure:
        with self._lock:
            self.contexts.append(context)
        if context.turn >= len(self._script) and not self.remote:
            return Failure(FailureKind.FINISHED, "the script is over")
        body = {"turn": context.turn, "prompt": "p" * 100}
        longest = min(100, context.longest_answer or 100)
        return Request(self.name, self.model, body, max_output_tokens=longest)

    def send(self, request: Request, timeout_s: float) -> Reply | Failure:
        with self._lock:
            self.sent.append(request)
            if not self._script:
                return Failure(FailureKind.FINISHED, "the script is over")
            entry = self._script.pop(0)
        if isinstance(entry, str):
            return Reply(entry, Tokens(200, 50), detail={"model": "model-x", "request_id": "r"})
        return entry if isinstance(entry, Failure) else entry()

    def close(self) -> None:
        pass


class SimulatedTime:
    """A clock that runs on when nothing is under way, and the flights of a search on it."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.at: list[tuple[float, Callable[[], None]]] = []
        """What happens at a time: the server goes down, or comes back."""

    def __call__(self) -> float:
        return self.now_s

    def flights(self) -> Flights[tuple[str, int]]:
        time_ = self

        class Simulated(Flights[tuple[str, int]]):
            def next(self, timeout_s: float) -> Landed[tuple[str, int]] | None:
                if not len(self):
                    time_.pass_(timeout_s)
                    return None
                return super().next(10.0)

        return Simulated()

    def pass_(self, seconds: float) -> None:
        self.now_s += max(seconds, 1e-3)
        while self.at and self.at[0][0] <= self.now_s:
            self.at.pop(0)[1]()


class Stage:
    """One database and as many sessions of one search as a test wants."""

    def __init__(
        self,
        folder: Path,
        run_id: int | None = None,
        url: str | None = None,
        device: Device = DEVICE,
        op: Op = OP,
    ) -> None:
        """Open the folder's database, or another; take up the search of this run, or begin one."""
        self.store = Store.open(url or f"sqlite:///{folder / 'search.db'}")
        begun = {"op": op.name, "dtype": "float32"}
        self.device, self.op = device, op
        self.run_id = run_id or self.store.begin_run("search", "test", begun, 0, device)
        self.events: list[str] = []

    def search(
        self,
        proposers: Sequence[Scripted],
        judge: ScriptedJudge,
        limits: Limits,
        *,
        roots: Sequence[str] = (),
        resume: bool = False,
        **how: Any,
    ) -> Outcome:
        search = self.opened(proposers, judge, limits, **how)
        restored = search._journal.restore() if resume else None
        return search.run(drafts(roots), restored)

    def opened(
        self,
        proposers: Sequence[Scripted],
        judge: ScriptedJudge,
        limits: Limits,
        *,
        parallel: int = 1,
        confirm: int = 0,
        retry: RetryPolicy = IMPATIENT,
        price: Price | None = PRICE,
        clock: SimulatedTime | None = None,
        stopping: Callable[[], bool] = lambda: False,
        settings: SearchSettings | None = None,
    ) -> Search:
        settings = settings or SearchSettings(seed=5, confirm=confirm)
        now = clock or time.monotonic
        return Search(
            Task(self.op, "float32", self.device, settings, parallel=parallel, retry=retry),
            Roster([Seat(p, price) for p in proposers], limits),
            Journal(self.store, self.run_id, self.device, "float32"),
            Budget(limits, started_s=now()),
            evaluate=judge,
            settled=lambda evaluation: True,
            clock=now,
            watch=self,
            stopping=stopping,
            flights=clock.flights() if clock else None,
        )

    def changed(self, state: object) -> None:
        pass

    def judged(self, name: str, label: str, evaluation: Evaluation) -> None:
        self.events.append(f"{evaluation.status} {label}")

    def event(self, line: str) -> None:
        self.events.append(line)

    def evaluations(self) -> Iterator[tuple[str, str]]:
        """Status and reason of every stored evaluation."""
        for stored in self.store.evaluations(run_id=self.run_id):
            yield str(stored.evaluation.status), stored.evaluation.why
