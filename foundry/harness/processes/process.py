"""One worker process, seen from the judge: start, confine, ask with a deadline, kill."""

from __future__ import annotations

import functools
import signal
import socket
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from foundry.errors import EnvironmentUnusable
from foundry.harness import frames
from foundry.harness.jobs import Confine, Crash, Job, ReplyError, Timeout, Unanswered
from foundry.harness.processes.clock import Clock, children_s, processor_s
from foundry.harness.processes.start import START_LIMIT_S, Starter, last_words
from foundry.harness.processes.stopwatch import Lap, Stopwatch

R = TypeVar("R")

_CONFINE_LIMIT_S = 30.0


class WorkerProcess:
    """A running worker. Not for use by two threads at once.

    Args:
        launcher: Starts the process.
        confine: How to confine it before its first job; None for a worker that is trusted.
    """

    def __init__(self, launcher: Starter, confine: Confine | None) -> None:
        self._launcher = launcher
        self._confine = confine
        self._ready = False
        self.jobs = 0
        self._start()

    def _start(self) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        ours, theirs = socket.socketpair()
        trusted = self._confine is None
        try:
            with theirs:
                self._child = self._launcher.start(theirs, self._errors, trusted=trusted)
        except BaseException:
            ours.close()
            self._errors.close()
            raise
        self._clock = Clock(functools.partial(processor_s, self._child.pid))
        self._used_before_s: float | None = None
        self._channel = frames.Channel(ours, self._clock)

    @property
    def pid(self) -> int:
        """Process id, also the id of its process group."""
        return self._child.pid

    @property
    def is_new(self) -> bool:
        """Whether it was neither prepared nor asked."""
        return not self._ready

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        try:
            return self._child.poll() is None
        except EnvironmentUnusable:
            return False

    @property
    def spent_s(self) -> float:
        """Seconds since the latest job began, by the clock that limits count."""
        return self._clock()

    @property
    def used_s(self) -> float | None:
        """Processor time since the latest job began, compilers that ended included; or unknown."""
        now = self._with_children_s()
        return None if now is None or self._used_before_s is None else now - self._used_before_s

    def _with_children_s(self) -> float | None:
        own, ended = processor_s(self.pid), children_s(self.pid)
        return None if own is None or ended is None else own + ended

    def ask(self, job: Job[R], limit_s: float) -> R | Unanswered:
        """Send a job and wait for its result, at most `limit_s` seconds.

        After a `Timeout` or `Crash` the process is dead.

        Raises:
            EnvironmentUnusable: The engine cannot work on this machine, or never came up.
        """
        self._await_ready()
        self.jobs += 1
        return self._exchange(job, limit_s)

    def clocked(self, job: Job[R], limit_s: float) -> tuple[R | Unanswered, Lap]:
        """As `ask`, and what it took by the judge's clocks.

        Raises:
            EnvironmentUnusable: As `ask`.
        """
        watch = Stopwatch(self.pid)
        found = self.ask(job, limit_s)
        return found, watch.stop()

    def prepare(self, op: str, op_file: str, modules: tuple[str, ...] = ()) -> None:
        """Load code before the process is confined, for afterwards it may not read its files.

        Without effect on a process that is confined already.

        Raises:
            EnvironmentUnusable: As `ask`.
        """
        if self._confine is not None and not self._ready:
            self._confine = self._confine.after_loading(op, op_file, modules)
            if op_file and not self._launcher.reaches(self._child, Path(op_file)):
                self.kill()
                self._start()
        self._await_ready()

    def terminate(self) -> None:
        """Kill the whole process group. Another thread may call this while one asks."""
        self._child.terminate()

    def stop(self) -> None:
        """Let the whole process group stand still. Another thread may call this while one asks."""
        self._clock.stop()
        self._child.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on. Another thread may call this while one asks."""
        self._child.signal(signal.SIGCONT)
        self._clock.resume()

    def kill(self) -> None:
        """Kill the whole process group, and wait for the worker."""
        self._child.kill()
        self._channel.close()
        self._errors.close()

    def _exchange(self, job: Job[R], limit_s: float) -> R | Unanswered:
        self._clock.restart()
        self._used_before_s = self._with_children_s()
        deadline = limit_s
        header, buffers = job.encode()
        try:
            self._channel.send({"job": job.kind} | header, buffers, deadline)
            reply = self._channel.receive(job.reply_bytes, deadline)
            _raise_unusable(reply)
            if "raised" in reply.header:
                return self._raised(reply.header)
            return job.decode(reply)
        except frames.FrameTimeout:
            self.kill()
            return Timeout(limit_s)
        except frames.Disconnected as error:
            return self._death(str(error))
        except frames.FrameError as error:
            return self._crash(f"the worker broke the protocol: {error}")
        except (
            ReplyError,
            LookupError,
            TypeError,
            ArithmeticError,
            ValueError,
            AttributeError,
        ) as error:
            return self._crash(f"the worker's reply does not fit the job: {error}")

    def _await_ready(self) -> None:
        if self._ready:
            return
        try:
            self._clock.restart()
            _raise_unusable(self._channel.receive(0, START_LIMIT_S))
        except (frames.FrameError, frames.FrameTimeout):
            words = last_words(self._errors)
            self.kill()
            raise EnvironmentUnusable(
                f"a worker process did not start: {words or 'no message'}",
                "Run `foundry doctor`.",
            ) from None
        except EnvironmentUnusable:
            self.kill()
            raise
        self._ready = True
        if self._confine is not None:
            found = self._exchange(self._confine, _CONFINE_LIMIT_S)
            if isinstance(found, Timeout | Crash):
                raise EnvironmentUnusable(
                    f"a worker could not be confined: {found}.",
                    "Run `foundry doctor`; FOUNDRY_SANDBOX=off goes without.",
                )

    def _raised(self, header: Mapping[str, Any]) -> Crash:
        fault = header.get("gpu_fault")
        return replace(self._crash(str(header["raised"])), gpu_fault=fault and str(fault))

    def _death(self, reason: str) -> Crash:
        """Why the connection broke: the signal that ended the process, where there is one."""
        until = time.monotonic() + 1.0
        while (code := self._child.poll()) is None:
            if time.monotonic() > until:
                return self._crash(f"the worker broke the protocol: {reason}")
            time.sleep(0.001)
        if code < 0:
            return self._crash(f"killed by {_signal_name(-code)}", -code)
        return self._crash(f"the worker exited with code {code}")

    def _crash(self, reason: str, number: int | None = None) -> Crash:
        self.kill()
        return Crash(reason, number)


def _raise_unusable(reply: frames.Frame) -> None:
    if unusable := reply.header.get("unusable"):
        raise EnvironmentUnusable(str(unusable[0]), str(unusable[1]))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
