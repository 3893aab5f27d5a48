"""The worker pool: fresh workers for each candidate.

Callers are threads. `lease()` gives a thread a *runner* for its kernel and, where runners cannot
start a compiler, a *builder* beside it; `trusted()` gives the worker that never meets a kernel, for
the baselines. The pool never serves more candidates at once than it was told to.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from foundry.errors import EnvironmentUnusable
from foundry.harness.jobs import Build, Confine, Crash, Describe, Examine, Job, Timeout, Unanswered
from foundry.harness.processes.environment import jit_folder
from foundry.harness.processes.lock import DeviceLock
from foundry.harness.processes.process import WorkerProcess
from foundry.harness.processes.start import ForkServer, starter
from foundry.harness.processes.stopwatch import Lap
from foundry.harness.processes.turns import Turn, Turns
from foundry.harness.sandbox import Level, absence, in_force, refusal, seatbelt
from foundry.program import Device

R = TypeVar("R")

_JOBS_PER_WORKER = 2000
"""A worker that is used again is renewed after this many jobs, so that nothing adds up."""
_MEMORY_BYTES = 8 << 30
"""How much the address space of a worker may grow."""


class Lease:
    """The processes of one candidate. Not for use by two threads at once."""

    def __init__(
        self, runner: WorkerProcess, builder: WorkerProcess | None, device: Device | None = None
    ) -> None:
        self.on_gpu = device is not None and device.kind != "cpu"
        """Whether it shares a GPU with other programs."""
        self.runner = runner
        self.builder = builder
        self.has_room = False
        """Whether a core is free to build something that may turn out not to be needed."""
        self._latest = runner
        self.turn: Turn | None = None
        """Its use of the machine, where it takes turns with others."""

    @property
    def pid(self) -> int:
        """Process id of the runner."""
        return self.runner.pid

    @property
    def alive(self) -> bool:
        """Whether the runner still runs."""
        return self.runner.alive

    @property
    def is_whole(self) -> bool:
        """Whether both still run: a job that took too long ends the process that did it."""
        return self.runner.alive and (self.builder is None or self.builder.alive)

    @property
    def can_stop(self) -> bool:
        """Whether its processes can stand still: a worker of a GPU leaves work behind on it."""
        return self.builder is not None

    def stop(self) -> None:
        """Let both stand still. Another thread may call this while one asks."""
        for worker in (self.runner, self.builder):
            if worker is not None:
                worker.stop()

    def resume(self) -> None:
        """Let both go on. Another thread may call this while one asks."""
        for worker in (self.runner, self.builder):
            if worker is not None:
                worker.resume()

    def ask(self, job: Job[R], limit_s: float) -> R | Unanswered:
        """Do a job: builds in the builder first, so that the runner finds them in the cache.

        The sanitizer compiles what it runs, so it is the builder's too.

        Raises:
            EnvironmentUnusable: The engine cannot work on this machine.
        """
        with self.turn.asking() if self.turn else nullcontext():
            return self._ask(job, limit_s)

    def _ask(self, job: Job[R], limit_s: float) -> R | Unanswered:
        self._latest = self.runner
        if self.builder is not None and isinstance(job, Build | Examine):
            self._latest = self.builder
            if isinstance(job, Examine):
                return self.builder.ask(job, limit_s)
            found = self.builder.ask(replace(job, keep=False), limit_s)
            if isinstance(found, Timeout | Crash) or any(found):
                return found
        answer = self.runner.ask(job, limit_s)
        if isinstance(answer, Timeout) and not isinstance(job, Examine):
            return replace(answer, on_gpu=self.on_gpu)
        return answer

    @property
    def spent_s(self) -> float:
        """Seconds since the latest job began, by the clock that limits count."""
        return self._latest.spent_s

    @property
    def used_s(self) -> float:
        """Processor time of the latest job, compilers included: what a busy machine makes no more.

        Where a GPU does the work, or nobody knows, it is `spent_s`.
        """
        used_s = None if self.on_gpu else self._latest.used_s
        return self.spent_s if used_s is None else used_s

    def clocked(self, job: Job[R], limit_s: float) -> tuple[R | Unanswered, Lap]:
        """Do a job in the runner, and take its time by the judge's clocks.

        Raises:
            EnvironmentUnusable: The engine cannot work on this machine.
        """
        with self.turn.asking() if self.turn else nullcontext():
            return self.runner.clocked(job, limit_s)

    def prepare(self, op: str, op_file: str, modules: tuple[str, ...] = ()) -> None:
        """Load an op and some modules, whose files are out of reach later.

        Raises:
            EnvironmentUnusable: As `ask`.
        """
        with self.turn.asking() if self.turn else nullcontext():
            self.runner.prepare(op, op_file, modules)
            if self.builder is not None:
                self.builder.prepare("", "", modules)

    def terminate(self) -> None:
        """Kill both. Another thread may call this while one asks."""
        for worker in (self.runner, self.builder):
            if worker is not None:
                worker.terminate()

    def kill(self) -> None:
        """Kill both, and wait for them."""
        for worker in (self.runner, self.builder):
            if worker is not None:
                worker.kill()


class WorkerPool:
    """Worker processes of one engine.

    Args:
        engine: Registered name (`cpu`, `metal`, `auto`) or `module:Class`.
        workers: Candidates in flight at once; on the GPU of a Mac it is one, for what goes wrong
            there goes wrong for all processes that use it.
        lock_folder: Where the device lock lives; by default shared by all commands of the user.
        least: Level of the sandbox below which no kernel runs here.
        level: Level to confine at; None: the strongest there is, unless the user switched it off.

    Raises:
        EnvironmentUnusable: This machine does not have the level.
    """

    def __init__(
        self,
        engine: str,
        workers: int = 2,
        lock_folder: Path | None = None,
        least: Level = Level.LIMITS,
        level: Level | None = None,
    ) -> None:
        if reason := refusal(least) or (level and absence(level)):
            raise reason
        wanted = in_force() if level is None else level
        self.engine = engine
        self.workers = workers = 1 if uses_apple_gpu(engine) else workers
        self._lock_folder = lock_folder
        self._lock: DeviceLock | None = None
        self._turns: Turns | None = None
        self._starter = starter(engine, wanted)
        self._forks = isinstance(self._starter, ForkServer)
        is_bound = self._forks or seatbelt.available()
        self._level = wanted if is_bound else Level.LIMITS
        self._slots = threading.BoundedSemaphore(workers)
        self._runners: list[WorkerProcess] = []
        self._builders: list[WorkerProcess] = []
        self._leased: set[Lease] = set()
        self._guard = threading.Lock()
        self._trusted: WorkerProcess | None = None
        self._trusted_guard = threading.RLock()
        self._device: Device | None = None
        self._closed = False

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def level(self) -> Level:
        """How well kernels are confined in this pool."""
        return self._level

    def device(self) -> Device:
        """The device the workers run on.

        Raises:
            EnvironmentUnusable: The engine does not work on this machine.
        """
        if self._device is None:
            with self.trusted() as worker:
                found = worker.ask(Describe(), 60.0)
            self._device = found if isinstance(found, Device) else _broken(found)
        return self._device

    @property
    def lock(self) -> DeviceLock:
        """The lock of the device: one per kind, since kinds are what a machine has one of."""
        if self._lock is None:
            self._lock = DeviceLock(self.device().kind, self._lock_folder)
        return self._lock

    @contextmanager
    def turn(self, lease: Lease) -> Iterator[Turn]:
        """Take turns with other candidates on the device; whoever times has it alone."""
        with self._guard:
            turns = self._turns
        if turns is None:
            made = Turns(self.lock)
            with self._guard:
                turns = self._turns = self._turns or made
        with turns.turn(lease) as turn:
            lease.turn = turn
            try:
                yield turn
                # Now, so that the end of one process and the start of another disturb no timing.
                self._renew(lease)
            finally:
                lease.turn = None

    def run(self, job: Job[R], limit_s: float) -> R | Unanswered:
        """Run one job on workers of its own."""
        with self.lease() as worker:
            return worker.ask(job, limit_s)

    @contextmanager
    def lease(self) -> Iterator[Lease]:
        """Workers for one candidate; waits while all are in use."""
        with self._slots:
            lease = self._take()
            try:
                yield lease
            except BaseException:
                with self._guard:
                    self._leased.discard(lease)
                lease.kill()
                raise
            self._give(lease)

    @contextmanager
    def trusted(self) -> Iterator[WorkerProcess]:
        """The worker that runs baselines and never a candidate.

        A thread that has it may take it again, as one that times and doubts a result.
        """
        with self._trusted_guard:
            worker = self._trusted
            if worker is None or not worker.alive:
                if worker is not None:
                    worker.kill()
                worker = self._trusted = WorkerProcess(self._starter, None)
            if self._closed:
                worker.terminate()  # its first job will see it crash
            try:
                yield worker
            finally:
                if self._closed:
                    worker.kill()
                    self._trusted = None
                    self._starter.close()

    def close(self) -> None:
        """Kill every worker. A thread that waits for a leased one sees it crash at once."""
        with self._guard:
            self._closed = True
            idle = [*self._runners, *self._builders]
            self._runners, self._builders = [], []
            for worker in (*self._leased, self._trusted):
                if worker is not None:
                    worker.terminate()
        with self._trusted_guard:
            if self._trusted is not None:
                idle.append(self._trusted)
                self._trusted = None
        for process in idle:
            process.kill()
        self._starter.close()

    def _take(self) -> Lease:
        runner = self._reuse(self._runners) or WorkerProcess(self._starter, self._confine(False))
        builder: WorkerProcess | None = None
        if self._forks:
            try:
                builder = self._reuse(self._builders)
                builder = builder or WorkerProcess(self._starter, self._confine(True))
            except BaseException:
                runner.kill()
                raise
        lease = Lease(runner, builder, self._device)
        with self._guard:
            self._leased.add(lease)
            lease.has_room = builder is not None and len(self._leased) < (os.cpu_count() or 1)
            closed = self._closed
        if closed:
            # It was waiting for its turn; its first job will see it crash.
            lease.terminate()
            self._starter.close()
        return lease

    def _reuse(self, idle: list[WorkerProcess]) -> WorkerProcess | None:
        with self._guard:
            while idle:
                worker = idle.pop()
                if worker.alive:
                    return worker
                worker.kill()
        return None

    def _give(self, lease: Lease) -> None:
        self._renew(lease)
        with self._guard:
            self._leased.discard(lease)
        if lease.builder is not None:
            self._keep(self._builders, lease.builder)
        self._keep(self._runners, lease.runner)

    def _renew(self, lease: Lease) -> None:
        """A runner that may have met a kernel makes way for a fresh one: nothing adds up."""
        with self._guard:
            is_due = not lease.runner.is_new and not self._closed
        if is_due:
            lease.runner.kill()
            lease.runner = WorkerProcess(self._starter, self._confine(False))

    def _keep(self, idle: list[WorkerProcess], worker: WorkerProcess) -> None:
        with self._guard:
            if worker.alive and worker.jobs < _JOBS_PER_WORKER and not self._closed:
                idle.append(worker)
                return
            closed = self._closed
        worker.kill()
        if closed:
            self._starter.close()

    def _confine(self, builds: bool) -> Confine:
        readable = (str(jit_folder()),)
        # The compiler limits itself, and a sanitised run reserves far more than it uses.
        memory_bytes = _MEMORY_BYTES if self._forks and not builds else None
        # Where there is no builder, the runner compiles what it sanitizes.
        return Confine(builds or not self._forks, int(self.level), readable, memory_bytes)


def uses_apple_gpu(engine: str) -> bool:
    """Whether an engine of this name runs on the GPU of this Mac."""
    return sys.platform == "darwin" and engine in ("metal", "auto")


def _broken(found: Unanswered) -> Device:
    reason = f"no answer in {found.limit_s:g} s" if isinstance(found, Timeout) else ""
    reason = found.reason if isinstance(found, Crash) else reason
    raise EnvironmentUnusable(
        f"the engine does not say what device it runs on: {reason}.", "Run `foundry doctor`."
    )
