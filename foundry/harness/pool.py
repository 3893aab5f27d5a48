"""The worker pool: one worker per candidate at a time, renewed when it dies or grows old.

Callers are threads. `lease()` gives a thread a worker of its own; `trusted()` gives a worker that
never meets a kernel, for the baselines. The pool never runs more workers than it was told to.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from foundry.engines.base import Device
from foundry.errors import EnvironmentUnusable
from foundry.harness.jobs import Crash, Describe, Failure, Job, Timeout
from foundry.harness.lock import DeviceLock
from foundry.harness.process import WorkerProcess

R = TypeVar("R")

_JOBS_PER_WORKER = 2000
"""A worker is renewed after this many jobs, so that what kernels leave behind cannot add up."""


class WorkerPool:
    """Worker processes of one engine.

    Args:
        engine: Registered name (`cpu`, `metal`, `cuda`, `auto`) or `module:Class`.
        workers: Candidates in flight at once.
        lock_folder: Where the device lock lives; by default shared by all commands of the user.
    """

    def __init__(self, engine: str, workers: int = 2, lock_folder: Path | None = None) -> None:
        self.engine = engine
        self.workers = workers
        self._lock_folder = lock_folder
        self._lock: DeviceLock | None = None
        self._slots = threading.BoundedSemaphore(workers)
        self._idle: list[WorkerProcess] = []
        self._leased: set[WorkerProcess] = set()
        self._guard = threading.Lock()
        self._trusted: WorkerProcess | None = None
        self._trusted_guard = threading.Lock()
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

    def run(self, job: Job[R], limit_s: float) -> R | Failure:
        """Run one job on a worker of its own."""
        with self.lease() as worker:
            return worker.ask(job, limit_s)

    @contextmanager
    def lease(self) -> Iterator[WorkerProcess]:
        """A worker for one candidate; waits while all are in use."""
        with self._slots:
            worker = self._take()
            try:
                yield worker
            except BaseException:
                with self._guard:
                    self._leased.discard(worker)
                worker.kill()
                raise
            self._give(worker)

    @contextmanager
    def trusted(self) -> Iterator[WorkerProcess]:
        """The worker that runs baselines and never a candidate."""
        with self._trusted_guard:
            if self._trusted is None or not self._trusted.alive:
                self._trusted = WorkerProcess(self.engine)
            yield self._trusted

    def close(self) -> None:
        """Kill every worker. A thread that waits for a leased one sees it crash at once."""
        with self._guard:
            self._closed = True
            idle, self._idle = self._idle, []
            for worker in (*self._leased, self._trusted):
                if worker is not None:
                    worker.terminate()
        with self._trusted_guard:
            if self._trusted is not None:
                idle.append(self._trusted)
                self._trusted = None
        for worker in idle:
            worker.kill()

    def _take(self) -> WorkerProcess:
        with self._guard:
            while self._idle:
                worker = self._idle.pop()
                if worker.alive:
                    self._leased.add(worker)
                    return worker
                worker.kill()
        worker = WorkerProcess(self.engine)
        with self._guard:
            self._leased.add(worker)
            if self._closed:
                worker.terminate()
        return worker

    def _give(self, worker: WorkerProcess) -> None:
        with self._guard:
            self._leased.discard(worker)
            keep = worker.alive and worker.jobs < _JOBS_PER_WORKER and not self._closed
            if keep:
                self._idle.append(worker)
                return
        worker.kill()


def _broken(found: Failure) -> Device:
    reason = f"no answer in {found.limit_s:g} s" if isinstance(found, Timeout) else ""
    reason = found.reason if isinstance(found, Crash) else reason
    raise EnvironmentUnusable(
        f"the engine does not say what device it runs on: {reason}.", "Run `foundry doctor`."
    )
