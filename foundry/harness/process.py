"""One worker process, seen from the judge: start, ask with a deadline, kill.

The process is started afresh (never forked from the judge), leads its own session, reads nothing
from the terminal and writes to files that nobody prints. It is killed with its whole group.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TypeVar

from foundry.errors import EnvironmentUnusable
from foundry.harness import frames
from foundry.harness.environment import clean_environment
from foundry.harness.jobs import Crash, Failure, Job, ReplyError, Timeout

R = TypeVar("R")

START_LIMIT_S = 60.0
_LAST_WORDS = 2000


class WorkerProcess:
    """A running worker. Not for use by two threads at once."""

    def __init__(self, engine: str) -> None:
        self._scratch = Path(tempfile.mkdtemp(prefix="foundry-worker-"))
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        ours, theirs = socket.socketpair()
        self._channel = frames.Channel(ours)
        self._ready = False
        self.jobs = 0
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "foundry.harness.worker", engine, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                cwd=self._scratch,
                env=clean_environment() | {"TMPDIR": str(self._scratch)},
            )

    @property
    def pid(self) -> int:
        """Process id, also the id of its process group."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def ask(self, job: Job[R], limit_s: float) -> R | Failure:
        """Send a job and wait for its result, at most `limit_s` seconds.

        After a `Timeout` or `Crash` the process is dead.

        Raises:
            EnvironmentUnusable: The engine cannot work on this machine, or never came up.
        """
        self._await_ready()
        self.jobs += 1
        deadline = time.monotonic() + limit_s
        header, buffers = job.encode()
        try:
            self._channel.send({"job": job.kind} | header, buffers, deadline)
            reply = self._channel.receive_reply(job.reply_bytes, deadline)
            _raise_unusable(reply)
            if "raised" in reply.header:
                return self._crash(str(reply.header["raised"]))
            return job.decode(reply)
        except frames.FrameTimeout:
            self.kill()
            return Timeout(limit_s)
        except frames.FrameError as error:
            return self._death(str(error))
        except (ReplyError, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            return self._crash(f"the worker's reply does not fit the job: {error}")

    def terminate(self) -> None:
        """Kill the whole process group. The one call another thread may make while one asks."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def kill(self) -> None:
        """Kill the whole process group, wait for the worker, remove its scratch folder."""
        self.terminate()
        self._process.wait()
        self._channel.close()
        self._errors.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _await_ready(self) -> None:
        if self._ready:
            return
        try:
            _raise_unusable(self._channel.receive(0, time.monotonic() + START_LIMIT_S))
        except (frames.FrameError, frames.FrameTimeout):
            words = self._last_words()
            self.kill()
            raise EnvironmentUnusable(
                f"a worker process did not start: {words or 'no message'}",
                "Run `foundry doctor`.",
            ) from None
        except EnvironmentUnusable:
            self.kill()
            raise
        self._ready = True

    def _death(self, reason: str) -> Crash:
        """Why the connection broke: the signal that ended the process, where there is one."""
        try:
            code = self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            return self._crash(f"the worker broke the protocol: {reason}")
        if code < 0:
            return self._crash(f"killed by {_signal_name(-code)}", -code)
        return self._crash(f"the worker exited with code {code}")

    def _crash(self, reason: str, number: int | None = None) -> Crash:
        self.kill()
        return Crash(reason, number)

    def _last_words(self) -> str:
        self._process.poll()
        self._errors.seek(0)
        return self._errors.read()[-_LAST_WORDS:].decode(errors="replace").strip()


def _raise_unusable(reply: frames.Frame) -> None:
    if unusable := reply.header.get("unusable"):
        raise EnvironmentUnusable(str(unusable[0]), str(unusable[1]))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
