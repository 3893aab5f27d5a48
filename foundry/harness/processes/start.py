"""Two ways to a worker process: started afresh, or forked from a server that has all loaded.

Both give a `Child` that leads its own session, reads nothing, prints to a file nobody shows, has no
secret in its environment, and is killed with its whole group.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Protocol

from foundry import engines
from foundry.errors import EnvironmentUnusable
from foundry.harness.processes.environment import cache_folder, clean_environment, jit_folder
from foundry.harness.sandbox import seatbelt
from foundry.harness.sandbox.level import Level
from foundry.harness.sandbox.profiles import (
    compiler_folder,
    folders_of,
    own_packages,
    python_folders,
)
from ops import plugins, registry

START_LIMIT_S = 60.0
_KILL_LIMIT_S = 5.0
_MESSAGE_BYTES = 1 << 16


class Child(Protocol):
    """A worker process, from outside."""

    pid: int
    """Also the id of its process group."""

    def poll(self) -> int | None:
        """Exit code, negative for a signal; None while it runs.

        Raises:
            EnvironmentUnusable: What became of it cannot be known, and is no fault of its own.
        """

    def terminate(self) -> None:
        """Kill the whole group."""

    def signal(self, number: int) -> None:
        """Send a signal to the whole group."""

    def kill(self) -> None:
        """Kill the whole group, and wait until the worker is gone."""


class Starter(Protocol):
    """Makes children."""

    def start(self, connection: socket.socket, errors: IO[bytes], *, trusted: bool) -> Child:
        """Start a worker that serves on `connection` and prints to `errors`.

        A worker that is not trusted confines itself; where that must happen from outside, here.

        Raises:
            EnvironmentUnusable: The engine does not work on this machine.
        """

    def reaches(self, child: Child, file: Path) -> bool:
        """Whether a worker that did nothing yet can load a file; those started from now on can."""

    def close(self) -> None:
        """End whatever serves to make children."""


def starter(engine: str, level: Level) -> Starter:
    """The faster way that is safe for an engine: GPUs and their libraries do not survive a fork."""
    if sys.platform == "linux" and engine != "metal":
        return ForkServer(engine, level)
    return Spawner(engine, level)


class Spawner:
    """Starts a Python of its own for every worker."""

    def __init__(self, engine: str, level: Level = Level.LIMITS) -> None:
        self._engine = engine
        self._level = level
        self._files: tuple[Path, ...] = ()
        """Files of ops that some worker had to load, wherever they lie."""

    def start(self, connection: socket.socket, errors: IO[bytes], *, trusted: bool) -> Child:
        """Start a worker."""
        descriptor = connection.fileno()
        command = ["-m", "foundry.harness.processes.worker", self._engine, str(descriptor)]
        is_bound = self._level >= Level.FILTERED and seatbelt.available() and not trusted
        return _Spawned(command, [descriptor], errors, self._files if is_bound else None)

    def reaches(self, child: Child, file: Path) -> bool:
        """A worker that is confined from outside reads what was known when it was started."""
        if not isinstance(child, _Spawned) or child.reads(file):
            return True
        self._files = (*self._files, file)
        return False

    def close(self) -> None:
        """Nothing to end."""


class ForkServer:
    """Forks workers from one process that has loaded everything. Safe to use from threads.

    Args:
        engine: Registered name, or `module:Class`.
        level: Level of the sandbox; the server leaves the machine's network for `isolated`.
    """

    def __init__(self, engine: str, level: Level) -> None:
        self._engine = engine
        self._level = level
        self._guard = threading.Lock()
        self._generation = 0
        self._closed = False
        self._control: socket.socket | None = None
        self._server: _Spawned | None = None
        self._errors: IO[bytes] | None = None

    def start(self, connection: socket.socket, errors: IO[bytes], *, trusted: bool) -> Child:
        """Fork a worker."""
        descriptors = [connection.fileno(), errors.fileno()]
        with self._guard:
            if self._closed:
                raise EnvironmentUnusable("the workers were ended.", "Run the command again.")
            pid = int(self._order({"start": True}, descriptors)["pid"])
            return _Forked(self, pid, self._generation)

    def reap(self, pid: int, generation: int) -> int | None:
        """Exit code of a child of a generation of the server; None while it runs.

        Raises:
            EnvironmentUnusable: That server ended, and its children with it: no fault of theirs.
        """
        with self._guard:
            if self._closed:
                return -signal.SIGKILL
            if self._control is None or generation != self._generation:
                raise EnvironmentUnusable("the fork server ended.", "Run the command again.")
            code = self._order({"reap": pid}).get("code")
        return None if code is None else int(code)

    def reaches(self, child: Child, file: Path) -> bool:
        """Its workers confine themselves, once they have loaded what they need."""
        return True

    def has(self, generation: int) -> bool:
        """Whether the server of a generation is up: its children are reaped by nobody else."""
        return self._control is not None and generation == self._generation

    def close(self) -> None:
        """End the server, and with it every child."""
        with self._guard:
            self._closed = True
            self._stop()

    def _order(
        self, message: dict[str, Any], descriptors: list[int] | None = None
    ) -> dict[str, Any]:
        control = self._control or self._begin()
        try:
            socket.send_fds(control, [json.dumps(message).encode()], descriptors or [])
            return self._answer(control)
        except OSError as error:
            self._stop()
            raise EnvironmentUnusable(
                f"the fork server ended: {error}.", "Run the command again."
            ) from error

    def _begin(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control = ours
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the server
        try:
            with theirs:
                number = theirs.fileno()
                arguments = [self._engine, str(number), str(int(self._level))]
                command = ["-m", "foundry.harness.processes.fork_server", *arguments]
                self._server = _Spawned(command, [number], self._errors)
            self._answer(ours)
            self._generation += 1
            return ours
        except EnvironmentUnusable:
            self._stop()
            raise
        except OSError:
            words = last_words(self._errors)
            self._stop()
            raise EnvironmentUnusable(
                f"the fork server did not start: {words or 'no message'}", "Run `foundry doctor`."
            ) from None

    def _answer(self, control: socket.socket) -> dict[str, Any]:
        control.settimeout(START_LIMIT_S)
        data = control.recv(_MESSAGE_BYTES)
        if not data:
            raise OSError("end of stream")
        reply: dict[str, Any] = json.loads(data)
        if unusable := reply.get("unusable"):
            raise EnvironmentUnusable(str(unusable[0]), str(unusable[1]))
        return reply

    def _stop(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._server is not None:
            self._server.end()
            self._server = None
        if self._errors is not None:
            self._errors.close()
            self._errors = None


class _Spawned:
    """A Python process started afresh.

    Args:
        command: What Python is given.
        descriptors: That it inherits.
        errors: Where it prints to.
        files: What it must read beside what every worker does, where it is confined from outside;
            None: it is not.
    """

    def __init__(
        self,
        command: list[str],
        descriptors: list[int],
        errors: IO[bytes],
        files: Sequence[Path] | None = None,
    ) -> None:
        environment = clean_environment() | {"TMPDIR": str(jit_folder())}
        self._readable = None if files is None else (*_code(), *files)
        self._scratch = Path(tempfile.mkdtemp(prefix="foundry-worker-")).resolve()
        before = [] if self._readable is None else _seatbelt(self._scratch, self._readable)
        self._process = subprocess.Popen(
            [*before, sys.executable, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            pass_fds=descriptors,
            start_new_session=True,
            cwd=self._scratch,
            env=environment,
        )
        self.pid = self._process.pid

    def reads(self, file: Path) -> bool:
        """Whether it may read a file."""
        real = file.resolve()
        places = self._readable
        return places is None or any(real.is_relative_to(place.resolve()) for place in places)

    def poll(self) -> int | None:
        return self._process.poll()

    def terminate(self) -> None:
        self.signal(signal.SIGKILL)

    def signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def kill(self) -> None:
        self.terminate()
        # A process that waits for a GPU may not even die of SIGKILL until that gives up.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_KILL_LIMIT_S)
        shutil.rmtree(self._scratch, ignore_errors=True)

    def end(self) -> None:
        """Let it end by itself, which it does when its connection is closed; then make sure."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_KILL_LIMIT_S)
        self.kill()


class _Forked:
    """A child of the fork server, which alone can reap it: until then its id is not used again."""

    def __init__(self, server: ForkServer, pid: int, generation: int) -> None:
        self._server = server
        self._generation = generation
        self._code: int | None = None
        self.pid = pid

    def poll(self) -> int | None:
        if self._code is None:
            self._code = self._server.reap(self.pid, self._generation)
        return self._code

    def terminate(self) -> None:
        self.signal(signal.SIGKILL)

    def signal(self, number: int) -> None:
        # Children of a server that is gone were killed with it: the id may be another's by now.
        if self._code is None and self._server.has(self._generation):
            # Right after the fork it leads no group yet, so its own id comes first.
            for send in (os.kill, os.killpg):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    send(self.pid, number)

    def kill(self) -> None:
        self.terminate()
        until = time.monotonic() + _KILL_LIMIT_S
        with contextlib.suppress(EnvironmentUnusable):
            while self.poll() is None and time.monotonic() < until:
                time.sleep(0.001)


def _seatbelt(scratch: Path, readable: Sequence[Path]) -> list[str]:
    """The command that confines a worker: it reads code, writes the build cache and its folder."""
    listed = [package.parent for package in own_packages()]
    return seatbelt.prefix([*readable, jit_folder()], [cache_folder(), scratch], listed)


def _code() -> list[Path]:
    """Where all that a worker loads lies: Python, packages, the compiler, what others add."""
    programs = (Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parent)
    named = (os.environ.get(name, "") for name in ("PYTHONPATH", registry.FILES_VARIABLE))
    searched = [Path(path) for paths in named for path in paths.split(os.pathsep) if path]
    groups = (registry.ENTRY_POINT_GROUP, engines.ENTRY_POINT_GROUP)
    names = ("mlx", *(name for group in groups for name in plugins.packages(group)))
    added = [place for name in names for place in folders_of(name)]
    return [*python_folders(), *own_packages(), compiler_folder(), *programs, *searched, *added]


def last_words(errors: IO[bytes], most: int = 2000) -> str:
    """The end of what a process printed; of a Python traceback, what it ends with."""
    errors.seek(0)
    words = errors.read().decode(errors="replace").strip()
    if "Traceback (most recent call last)" in words:
        words = words.rsplit("\n", 1)[-1]
    return words[-most:]
