"""Verdicts for comparing strategies: one build a kernel, no clock, the same every time.

A kernel is built once, as the chip model wants it (clang's text for a GPU, its blocks counted), and
run whole at one size in a process of its own. What it wrote is held to the oracle, and what it did
gives its predicted time on a chip. That is far less than a judge asks: no sanitizer, one size, one
draw of inputs, a thousandth of error allowed, and nobody asks whether Apple's compiler would take
it. It tells strategies apart; it ships nothing.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from foundry.chips import fitted, registry
from foundry.chips.prediction import predicted_on
from foundry.errors import InvalidKernel, LaunchFailed
from foundry.judge.options import NOBODY, Rivals
from foundry.judge.oracle.expecting import values
from foundry.judge.oracle.inputs import make_inputs
from foundry.judge.verdict import Diagnostic, Evaluation, Status
from foundry.kernel import Kernel, bind, parse
from foundry.msl.build.compiler import CompilerFailed
from foundry.msl.counters import run as counting
from foundry.msl.frontend.refusals.refusal import Refused
from foundry.msl.frontend.signature import SignatureError, capture_launch
from foundry.msl.gpu.profile import GpuProfile, LaunchProfile, profile_from
from foundry.msl.gpu.run import GpuRun
from foundry.msl.gpu.toolchain import gpu_builder
from foundry.msl.run.builder import Text
from foundry.msl.run.memory import argument_buffers, refuse_sizes
from foundry.program import Arrays, Device, Launch, Program, Size3
from foundry.store.records import PREDICTIONS
from ops.dtypes import numpy_dtype
from ops.spec import Op
from ops.workload import Workload
from templates import default, for_op, render

CHIP = "m1"
WITHIN = 1e-3
"""Error that is allowed: of an element, and of the mean of all."""
LIMIT_S = 20
"""Processor time of one kernel's run."""
Key = tuple[str, str, Size3, Size3]


@dataclass(frozen=True)
class Fault:
    """Why a kernel is no good."""

    status: Status
    stage: str
    message: str


class WholeRun(GpuRun):
    """Runs every threadgroup, so that what it wrote can be looked at."""

    enough_events = 10**9

    def _order(self, total: int, most: int) -> range:
        return range(total)


@dataclass(frozen=True)
class Translated:
    """One launch as C++."""

    launch: Launch
    text: Text
    unit: str

    @property
    def key(self) -> Key:
        """Equal for launches that do the same."""
        return self.unit, self.text.math_mode, self.launch.grid, self.launch.threadgroup

    def llvm(self) -> str:
        """As a GPU's compiler has it before its back end; nothing is kept on disk.

        Raises:
            CompilerFailed: It does not compile.
        """
        toolchain = gpu_builder().toolchain
        with toolchain.cache.scratch() as folder:
            return toolchain.llvm_text(self.unit, self.text.math_mode, folder / "kernel.so")


@dataclass
class CheapJudge:
    """Judges as a `Judge` does, at the first bench size of an op."""

    device: Device
    alike: int = 0
    """Kernels that were C++ for C++ what another had been."""
    _known: dict[str, tuple[Arrays, Arrays, float | None]] = field(default_factory=dict)
    _found: dict[tuple[str, tuple[Key, ...]], GpuProfile | Fault] = field(default_factory=dict)

    def evaluate(
        self, text: str, op: Op, dtype: str, seed: int | None = None, *, rivals: Rivals = NOBODY
    ) -> Evaluation:
        """The verdict on a kernel; the seed changes nothing."""
        kernel = parse(text)
        workload = op.workloads("bench", dtype)[0]
        template_us = self._setting(op, workload)[2]
        found = self._predicted(kernel, op, workload)
        fields: dict[str, Any] = {"status": Status.CORRECT}
        if isinstance(found, Fault):
            fields["status"] = found.status
            fields["diagnostics"] = (Diagnostic(stage=found.stage, message=found.message),)
        else:
            said = {**found, "template_us": template_us, "apart": fitted.built_in().apart}
            fields["extra"] = {PREDICTIONS: {workload.id: {CHIP: said}}}
        return Evaluation(
            kernel_hash=kernel.hash, op=op.name, dtype=dtype, device_id=self.device.id, **fields
        )

    def expect_looks(self, op: str, dtype: str, count: int) -> None:
        """Nobody asks here whether a kernel is faster."""

    def _setting(self, op: Op, workload: Workload) -> tuple[Arrays, Arrays, float | None]:
        """Inputs, what comes of them, and the predicted time of the best template."""
        key = f"{op.name} {workload.id}"
        if key not in self._known:
            inputs = make_inputs(op, workload, "normal", 0)
            self._known[key] = inputs, values(op, workload, inputs), None
            times = list(self._templates_us(op, workload))
            self._known[key] = *self._known[key][:2], min(times, default=None)
        return self._known[key]

    def _templates_us(self, op: Op, workload: Workload) -> Iterator[float]:
        for template in for_op(op.name):
            found = self._predicted(parse(render(template, default(template))), op, workload)
            if not isinstance(found, Fault):
                yield found["predicted_us"]

    def _predicted(self, kernel: Kernel, op: Op, workload: Workload) -> dict[str, Any] | Fault:
        inputs, wanted, _ = self._setting(op, workload)
        try:
            program = bind(kernel, op, workload)
            launches = list(_translated(program))
        except InvalidKernel as error:
            return Fault(Status.INVALID, "parse", error.reason)
        except (LaunchFailed, CompilerFailed, Refused, SignatureError) as error:
            return Fault(Status.BUILD_ERROR, "build", str(error) or "it does not build")
        key = op.name, tuple(one.key for one in launches)
        self.alike += key in self._found
        if key not in self._found:
            self._found[key] = _observed(program, launches, inputs, wanted)
        profile = self._found[key]
        if isinstance(profile, Fault):
            return profile
        return predicted_on(profile, registry.get(CHIP), fitted.built_in()).document()


def _translated(program: Program) -> Iterator[Translated]:
    specs = {spec.name: spec for spec in program.inputs}
    for launch in program.launches:
        captured = capture_launch(launch, [specs[name] for name in launch.inputs])
        if refused := refuse_sizes(captured):
            raise LaunchFailed(refused)
        text = Text(captured, launch.header, launch.source, launch.math_mode)
        yield Translated(launch, text, gpu_builder().translate(text).text)
        specs |= {spec.name: spec for spec in launch.outputs}


def _observed(
    program: Program, launches: list[Translated], inputs: Arrays, wanted: Arrays
) -> GpuProfile | Fault:
    try:
        texts = [one.llvm() for one in launches]
    except CompilerFailed as error:
        return Fault(Status.BUILD_ERROR, "build", str(error) or "it does not build")
    return apart(lambda: observed(program, list(zip(launches, texts, strict=True)), inputs, wanted))


def observed(
    program: Program, compiled: list[tuple[Translated, str]], inputs: Arrays, wanted: Arrays
) -> GpuProfile | Fault:
    """Build the rest, and run a program whole: what it does, unless what it wrote is wrong."""
    arrays, found = dict(inputs), []
    for number, (one, llvm) in enumerate(compiled):
        try:
            profile, written = _run(one, llvm, number, arrays)
        except LaunchFailed as error:
            return Fault(Status.SANITIZER_ERROR, "sanitize", str(error))
        found.append(profile)
        arrays |= written
    wrong = [name for name in program.outputs if not _is_right(arrays[name], wanted[name])]
    if wrong:
        return Fault(Status.WRONG_RESULT, "verify", f"{', '.join(wrong)} is not what the op gives")
    return GpuProfile(tuple(found))


def _run(one: Translated, llvm: str, number: int, arrays: Arrays) -> tuple[LaunchProfile, Arrays]:
    launch, builder = one.launch, gpu_builder()
    with builder.toolchain.cache.scratch() as folder:
        builder.toolchain.finish(llvm, folder / "kernel.so")
        library = builder.load(folder / "kernel.so")
    library = library.with_arguments(one.text.captured.argument_bytes)
    # What is not written stays NaN, and is wrong.
    outputs = [np.full(s.shape, np.nan, numpy_dtype(s.dtype)) for s in launch.outputs]
    taken = [arrays[name] for name in launch.inputs]
    _, kept = argument_buffers(taken, outputs, one.text.captured)
    with counting.ONE_AT_A_TIME:
        run = WholeRun(one.text, launch, number, library, kept)
        profile = run.profile()
    views = run.views[len(kept) - len(outputs) :]
    return profile, {s.name: view for s, view in zip(launch.outputs, views, strict=True)}


def _is_right(got: Any, want: Any) -> bool:
    size = np.abs(want)
    return bool((np.abs(got - want) <= WITHIN * (size + size.mean())).all())


def apart(work: Callable[[], GpuProfile | Fault]) -> GpuProfile | Fault:
    """What a call gives in a process of its own, which a kernel may take down or keep busy."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _say(writer, work)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    if status == signal.SIGVTALRM:
        return Fault(Status.TIMEOUT, "verify", f"not done after {LIMIT_S} s")
    if status or not said:
        return Fault(Status.CRASH, "verify", f"the process ended with {status}")
    return _heard(json.loads(said))


def _say(writer: int, work: Callable[[], GpuProfile | Fault]) -> None:
    signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT_S)
    try:
        found = work()
        document = vars(found) if isinstance(found, Fault) else found.document()
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(json.dumps(document).encode())
        os._exit(0)
    finally:
        os._exit(1)


def _heard(document: Mapping[str, Any]) -> GpuProfile | Fault:
    if "launches" in document:
        return profile_from(document)
    return Fault(Status(document["status"]), document["stage"], document["message"])
