"""The fork server: `python -m foundry.harness.processes.fork_server ENGINE DESCRIPTOR`.

1. It loads Python, MLX and the engine once, and never runs a kernel itself.
2. For each order it forks a child in a session of its own, which confines itself and serves
   (`worker.py`). A fresh process per kernel costs milliseconds instead of half a second.
3. When the judge closes its end, or dies, every child is killed.

It must have no thread but its own when it forks, so it is used only where engines start none on
import: on Linux, for engines of this machine's processor.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import signal
import socket
import sys
import traceback
from typing import Any

from foundry import engines
from foundry.engines.base import Engine
from foundry.errors import EnvironmentUnusable
from foundry.harness import frames
from foundry.harness.processes.worker import Worker, announce, serve
from foundry.harness.sandbox import profiles
from foundry.harness.sandbox.level import Level, enter_namespaces

_MESSAGE_BYTES = 1 << 16
_PR_SET_PDEATHSIG = 1


class Zygote:
    """The server's state: its engine, and the children that were not reaped yet."""

    def __init__(self, engine: Engine, control: socket.socket) -> None:
        self._engine = engine
        self._control = control
        self._children: set[int] = set()

    def serve(self) -> None:
        """Answer orders until the judge is gone, then kill what is left."""
        while order := self._receive():
            message, descriptors = order
            self._send(self._obey(message, descriptors))
        for child in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)

    def _obey(self, message: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        if "start" in message:
            return self._start(descriptors)
        return {"code": self._reap(int(message["reap"]))}

    def _start(self, descriptors: list[int]) -> dict[str, Any]:
        try:
            child = self._fork(descriptors)
        except OSError as error:
            return _unusable(f"no worker can be started: {error.strerror}.", "End other programs.")
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        self._children.add(child)
        return {"pid": child}

    def _fork(self, descriptors: list[int]) -> int:
        child = os.fork()
        if child:
            return child
        try:
            self._control.close()
            _become_worker(self._engine, descriptors)
        except BaseException:
            traceback.print_exc()  # a worker that never came up is told by its last words
            os._exit(1)
        finally:
            # Never back into the server's loop, whatever happened.
            os._exit(0)

    def _reap(self, child: int) -> int | None:
        """Exit code of a child that ended, negative for a signal; None while it runs."""
        try:
            found, status = os.waitpid(child, os.WNOHANG)
        except ChildProcessError:
            found, status = child, 0
        if not found:
            return None
        self._children.discard(child)
        return os.waitstatus_to_exitcode(status)

    def _receive(self) -> tuple[dict[str, Any], list[int]] | None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._control, _MESSAGE_BYTES, 2)
        except OSError:  # the judge went without reading the latest answer
            return None
        return (json.loads(data), descriptors) if data else None

    def _send(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # the judge is gone, which shows once more is read
            self._control.send(json.dumps(message).encode())


def _unusable(what: str, fix: str) -> dict[str, Any]:
    """The answer where this machine lacks something."""
    return {"unusable": [what, fix]}


def _become_worker(engine: Engine, descriptors: list[int]) -> None:
    channel_descriptor, errors = descriptors
    os.setsid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.dup2(errors, 2)
    os.close(errors)
    channel = frames.Channel(socket.socket(fileno=channel_descriptor))
    worker = Worker(engine)
    announce(channel)
    serve(worker, channel)


def main(engine_name: str, descriptor: int, level: Level) -> None:
    """Load everything, say so, and serve."""
    control, folder = socket.socket(fileno=descriptor), os.getcwd()
    try:
        engine = _loaded(engine_name)
    except EnvironmentUnusable as error:
        control.send(json.dumps(_unusable(error.what, error.fix)).encode())
        return
    if level >= Level.ISOLATED and not enter_namespaces():
        what, fix = "workers cannot leave the machine's network.", "Set FOUNDRY_SANDBOX=filtered."
        control.send(json.dumps(_unusable(what, fix)).encode())
        return
    gc.collect()
    gc.freeze()
    control.send(json.dumps({"ready": os.getpid()}).encode())
    Zygote(engine, control).serve()
    with contextlib.suppress(OSError):
        os.rmdir(folder)  # which nobody else does where who started this was killed


def _loaded(engine_name: str) -> Engine:
    import mlx.core  # noqa: F401 - children inherit it

    from ops import registry

    threads = _threads()
    registry.all_ops()
    if _threads() > threads:
        raise EnvironmentUnusable(
            "an op from outside starts threads when its file is loaded, as MLX does to evaluate: "
            "workers are copies of a process without any, and would wait for them.",
            f"Compute inside of its functions, or with NumPy ({registry.FILES_VARIABLE}).",
        )
    _fuse()
    profiles.rules(profiles.Profile(builds=True))
    return engines.get(engine_name)


def _threads() -> int:
    return len(os.listdir("/proc/self/task"))


def _fuse() -> None:
    """Let MLX look for its compiler now: a confined child cannot, and would fuse nothing.

    Tracing starts no thread, and evaluates nothing.
    """
    import mlx.core as mx

    with mx.stream(mx.cpu):
        mx.compile(lambda x: mx.exp(x) + 1)(mx.array(0.0))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Level(int(sys.argv[3])))
