"""The program that runs kernels: `python -m foundry.harness.processes.worker ENGINE DESCRIPTOR`.

1. It reads one request frame at a time from the private descriptor and answers it with one frame.
2. It builds, runs and times what it is told to, on the inputs it is given.
3. It answers with bytes and raw timings. What they mean is decided elsewhere.

A kernel at fault may kill this process at any point; nothing here tries to survive that.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from foundry import engines
from foundry.engines import gpu_faults
from foundry.engines.base import Call, Engine, Executable, Reorderable
from foundry.errors import EnvironmentUnusable
from foundry.harness import file_profiling, file_sanitizing, frames, sanitizing
from foundry.harness.jobs import UNBUILT, decode_program, decode_workload, encode_sets, read_sets
from foundry.harness.measuring import counting, profiling
from foundry.harness.measuring.baseline import BaselineCall, find_op, select_device
from foundry.harness.measuring.buffers import Buffers
from foundry.harness.measuring.calibration import calibrate
from foundry.harness.measuring.timed import Bench
from foundry.harness.processes.environment import cache_folder
from foundry.harness.sandbox import Level, Profile, confine
from foundry.program import Arrays, BuildFailure, Program

Reply = tuple[dict[str, Any], Sequence[NDArray[Any]]]
_MAX_REQUEST_BYTES = 1 << 40
_LOOK_EVERY_S = 1.0


class Worker:
    """What one worker process holds between requests: an engine and the programs it built."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._device = engine.device()
        self._bench = Bench(self._device.kind, lambda n: (self._executable(n), self._programs[n]))
        self._ahead: threading.Thread | None = None
        self._built: list[Executable | BuildFailure] = []
        self._programs: list[Program] = []
        self._handlers: dict[str, Callable[[frames.Frame], Reply]] = {
            "confine": self._confine,
            "describe": self._describe,
            "build": self._build,
            "examine": self._examine,
            "count": counting.answer,
            "profile": profiling.answer,
            "sanitize": sanitizing.answer,
            "sanitize_file": file_sanitizing.answer,
            "profile_file": file_profiling.answer,
            "run": self._run,
            "baseline": self._baseline,
            "bind_side": self._bind_side,
            "renew": self._bench.renew,
            "ready": self._bench.ready,
            "go": self._bench.go,
            "left": self._bench.left,
            "calibrate": self._calibrate,
        }

    def answer(self, request: frames.Frame) -> Reply:
        """Do one request."""
        return self._handlers[request.header["job"]](request)

    def _confine(self, request: frames.Frame) -> Reply:
        header = request.header
        if header["op"]:
            find_op(header["op"], header["op_file"])
        for module in header["modules"]:
            importlib.import_module(module)
        readable = tuple(Path(path) for path in header["readable"])
        profile = Profile(header["builds"], cache_folder(), readable, header["memory_bytes"])
        confine(profile, Level(header["level"]))
        return {}, ()

    def _describe(self, request: frames.Frame) -> Reply:
        device = self._device
        described = {"kind": device.kind, "name": device.name}
        return described | {"fingerprint": dict(device.fingerprint)}, ()

    def _build(self, request: frames.Frame) -> Reply:
        if self._ahead is not None:
            self._ahead.join()
        programs = [decode_program(p) for p in request.header["programs"]]
        built = _build_all(self._engine, programs, request.header["groups"], self._device.kind)
        if not request.header["keep"]:
            self._built, self._programs = [], []
        self._built += built
        self._programs += programs
        failures = [(b.log, b.launch) if isinstance(b, BuildFailure) else None for b in built]
        return {"failures": failures}, ()

    def _examine(self, request: frames.Frame) -> Reply:
        examine = _imported(request.header["sanitizer"])
        if ahead := request.header["ahead"]:
            self._ahead = threading.Thread(target=self._build_ahead, args=(decode_program(ahead),))
            self._ahead.start()
        report = examine(decode_program(request.header["program"]), read_sets(request)[0])
        found = [(f.message, f.line, getattr(f, "kind", "")) for f in report.findings]
        if not found and (log := getattr(report, "build_log", None)) is not None:
            found = [(log, None, UNBUILT)]
        return {"findings": found}, ()

    def _build_ahead(self, program: Program) -> None:
        # What goes wrong is found again, and told, by the build that follows.
        with contextlib.suppress(Exception):
            self._engine.build(program)

    def _run(self, request: frames.Frame) -> Reply:
        executable = self._executable(request.header["program"])
        sets, repeats = read_sets(request), request.header["repeats"]
        pinned = Buffers(sets[0])
        runs = []
        for inputs in sets:
            last = executable.bind(pinned.fill(inputs), poison=True)
            runs.append(_run_set(last, pinned, inputs, repeats))
        if request.header["stale"]:
            over = executable.bind(pinned.fill(sets[0]), over=last)
            runs.append(_run_set(over, pinned, sets[0], 1))
        if request.header["echo"]:
            # The first buffers are still alive, so these lie elsewhere.
            elsewhere = Buffers(sets[0])
            echo = executable.bind(elsewhere.fill(sets[0]), poison=True)
            runs.append(_run_set(echo, elsewhere, sets[0], 1))
        for order in range(1, request.header["orders"] + 1):
            runs.append(_run_in(executable, pinned, sets[0], order))
        header, data = encode_sets(tuple(outputs for outputs, _, _ in runs))
        checks = {"changed": [c for _, c, _ in runs], "distinct": [d for _, _, d in runs]}
        return header | checks, data

    def _baseline(self, request: frames.Frame) -> Reply:
        select_device(self._device.kind)
        op = find_op(request.header["op"], request.header["op_file"])
        workload = decode_workload(request.header)
        call = BaselineCall(op, workload, request.header["name"], read_sets(request)[0])
        call()
        return encode_sets((call.outputs(),))

    def _bind_side(self, request: frames.Frame) -> Reply:
        select_device(self._device.kind)
        return self._bench.bind(request)

    def _calibrate(self, request: frames.Frame) -> Reply:
        select_device(self._device.kind)
        return calibrate(self._device.kind), ()

    def _executable(self, index: int) -> Executable:
        built = self._built[index]
        if isinstance(built, BuildFailure):
            raise ValueError(f"program {index} was not built")
        return built


def _imported(path: str) -> Any:
    """What `module:name` names."""
    module, _, attribute = path.partition(":")
    return getattr(importlib.import_module(module), attribute)


def serve(worker: Worker, channel: frames.Channel) -> None:
    """Answer requests until the judge closes its end."""
    while True:
        try:
            request = channel.receive(_MAX_REQUEST_BYTES)
        except frames.FrameError:
            return
        try:
            header, buffers = worker.answer(request)
        except EnvironmentUnusable as error:
            channel.send({"unusable": [error.what, error.fix]})
        except Exception as error:  # what a kernel or an engine raises is data for the judge
            words, fault = f"{type(error).__name__}: {error}", gpu_faults.fault_in(str(error))
            channel.send({"raised": words[:4000], "gpu_fault": fault})
        else:
            channel.send(header, buffers)


def main(engine_name: str, descriptor: int) -> None:
    """Serve on an inherited socket, in a folder of one's own."""
    folder = Path.cwd()
    watch = threading.Thread(target=_end_with, args=(os.getppid(), folder), daemon=True)
    watch.start()
    try:
        _serve_on(engine_name, descriptor)
    finally:
        _leave(folder)


def _end_with(judge: int, folder: Path) -> None:
    """End this process and all that it started once its judge is gone, whatever runs here.

    A kernel that never ends would go on for ever: only Linux tells a process of that, if asked.
    """
    while os.getppid() == judge:
        time.sleep(_LOOK_EVERY_S)
    _leave(folder)
    os.killpg(os.getpid(), signal.SIGKILL)


def _leave(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()  # which nobody else does where who started this was killed


def _serve_on(engine_name: str, descriptor: int) -> None:
    channel = frames.Channel(socket.socket(fileno=descriptor))
    try:
        worker = Worker(engines.get(engine_name))
    except EnvironmentUnusable as error:
        channel.send({"unusable": [error.what, error.fix]})
        return
    announce(channel)
    serve(worker, channel)


def announce(channel: frames.Channel) -> None:
    """Tell the judge that this process is up."""
    channel.send({"ready": os.getpid()})


def _run_set(
    call: Call, buffers: Buffers, inputs: Arrays, repeats: int
) -> tuple[Arrays, str | None, int]:
    """Outputs of the last of some calls, the input they changed, and how many results differ."""
    outputs: Arrays = {}
    seen: set[bytes] = set()
    for _ in range(repeats):
        call()
        outputs = call.outputs()
        if repeats > 1:
            seen.add(b"".join(hashlib.sha256(a.tobytes()).digest() for a in outputs.values()))
    return outputs, buffers.changed(call, inputs), max(1, len(seen))


def _run_in(
    executable: Executable, buffers: Buffers, inputs: Arrays, order: int
) -> tuple[Arrays, str | None, int]:
    """As `_run_set`, threadgroups in another order where the engine decides that."""
    call = executable.bind(buffers.fill(inputs), poison=True)
    if isinstance(call, Reorderable):
        call.run_in(order)
    else:
        call()
    return call.outputs(), buffers.changed(call, inputs), 1


def _build_all(
    engine: Engine, programs: list[Program], groups: list[int], kind: str
) -> list[Executable | BuildFailure]:
    """Build the first program of every group side by side, then the others from the cache.

    Groups that were not begun when one failed are given its failure: the kernel is out already.
    """
    firsts = {group: index for index, group in reversed(list(enumerate(groups)))}
    failed: list[BuildFailure] = []

    def build(index: int) -> Executable | BuildFailure:
        if failed:
            return failed[0]
        found = engine.build(programs[index])
        if isinstance(found, BuildFailure):
            failed.append(found)
        return found

    order = sorted(firsts.values())
    with ExitStack() as held:
        at_once: Callable[..., Iterator[Executable | BuildFailure]] = map
        if (
            kind == "cpu"
        ):  # MLX has the streams of a GPU per thread, and one GPU runs what it builds
            at_once = held.enter_context(ThreadPoolExecutor(os.cpu_count())).map
        built = dict(zip(order, at_once(build, order), strict=True))
    for index, group in enumerate(groups):
        if index not in built:
            first = built[firsts[group]]
            lost = isinstance(first, BuildFailure)
            built[index] = first if lost else engine.build(programs[index])
    return [built[index] for index in range(len(programs))]


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
