"""A program on this machine's processor: built, bound to its arrays, run.

1. `build` captures each launch's text from MLX, builds it (`foundry.msl.run.builder`) and keeps
   the loaded kernels.
2. `bind` lays out every array of the program once and resolves all addresses.
3. A call runs the launches in order on all cores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundry.errors import LaunchFailed
from foundry.msl.frontend.signature import Captured, capture_launch
from foundry.msl.run.builder import Builder, Text
from foundry.msl.run.memory import (
    ALIGNMENT,
    Guarded,
    allocate,
    argument_buffers,
    filling,
    refuse_sizes,
)
from foundry.msl.run.runtime import MAX_STORAGE_BYTES, Launcher, LoadedKernel, worker_threads
from foundry.program import Arrays, BuildFailure, Launch, Program, TensorSpec, check_input
from ops.dtypes import numpy_dtype


@dataclass(frozen=True)
class _Built:
    launch: Launch
    captured: Captured
    library: LoadedKernel


def build(program: Program, builder: Builder) -> BuiltProgram | BuildFailure:
    """Compile every launch; the first that does not build is the failure."""
    specs = {spec.name: spec for spec in program.inputs}
    built = []
    for number, launch in enumerate(program.launches):
        result = _build(builder, launch, [specs[name] for name in launch.inputs])
        if isinstance(result, str):
            return BuildFailure(result, number)
        built.append(result)
        specs.update((spec.name, spec) for spec in launch.outputs)
    return BuiltProgram(program, specs, built)


def _build(builder: Builder, launch: Launch, inputs: list[TensorSpec]) -> _Built | str:
    if any(spec.dtype == "float64" for spec in (*inputs, *launch.outputs)):
        return "float64 is not supported on the GPU"
    captured = capture_launch(launch, inputs)
    refusal = refuse_sizes(captured)
    if refusal:
        return refusal
    result = builder.build(Text(captured, launch.header, launch.source, launch.math_mode))
    if isinstance(result, BuildFailure):
        return result.log
    if result.storage_bytes > MAX_STORAGE_BYTES:
        return (
            f"Threadgroup memory size ({result.storage_bytes}) exceeds the maximum threadgroup"
            f" memory allowed ({MAX_STORAGE_BYTES})"
        )
    return _Built(launch, captured, result)


class BuiltProgram:
    """A built program."""

    def __init__(
        self, program: Program, specs: Mapping[str, TensorSpec], built: list[_Built]
    ) -> None:
        self._program = program
        self._specs = specs
        self._built = built

    def bind(
        self,
        inputs: Mapping[str, NDArray[Any]],
        *,
        poison: bool = False,
        over: object | None = None,
    ) -> BoundProgram:
        """Attach inputs; see `foundry.engines.base.Executable`."""
        arrays = {spec.name: _attach(inputs[spec.name], spec) for spec in self._program.inputs}
        taken = {spec.name: arrays[spec.name] for spec in self._program.inputs}
        written = over.written if isinstance(over, BoundProgram) else self._allocate()
        arrays.update((name, guarded.array) for name, guarded in written.items())
        steps = []
        for built in self._built:
            outputs = [arrays[spec.name] for spec in built.launch.outputs]
            addresses, keep = argument_buffers(
                [arrays[name] for name in built.launch.inputs], outputs, built.captured
            )
            launcher = Launcher(
                built.library, built.captured.grid, built.captured.threadgroup, addresses
            )
            fill = _Fill(outputs, built.launch.init_value, poison)
            names = [n for n in built.launch.inputs if poison and n in written]
            given = {name: arrays[name] for name in names}
            steps.append(_Step(launcher, fill if fill.needed else None, given, keep))
        return BoundProgram(steps, taken, written, self._program.outputs)

    def forget(self, calls: Sequence[object]) -> None:
        """Leave no result of earlier calls where these could find it."""
        for call in calls:
            if isinstance(call, BoundProgram):
                call.clear()
        if self._built:
            self._built[0].library.runtime.mf_forget()

    def _allocate(self) -> dict[str, Guarded]:
        """Memory for everything that a launch writes."""
        made = (spec for built in self._built for spec in built.launch.outputs)
        return {s.name: Guarded(s.shape, numpy_dtype(s.dtype)) for s in made}


@dataclass(frozen=True)
class _Fill:
    """What outputs hold before a launch."""

    outputs: list[NDArray[Any]]
    value: float | None
    poison: bool

    @property
    def needed(self) -> bool:
        return self.value is not None or self.poison

    def __call__(self) -> None:
        for array in self.outputs:
            if self.value is not None:
                array[...] = filling(self.value, array.dtype)
            else:
                array.reshape(-1).view(np.uint8).fill(0xFF)


@dataclass(frozen=True)
class _Step:
    """A launch bound to its arrays."""

    launcher: Launcher
    fill: _Fill | None
    given: Arrays
    """Inputs that an earlier launch wrote, where it is asked whether they stay as they are."""
    keep: list[NDArray[Any]]
    """What the launcher has addresses of."""

    def __call__(self, run: Callable[[Launcher], None]) -> None:
        if self.fill is not None:
            self.fill()
        before = {name: array.tobytes() for name, array in self.given.items()}
        run(self.launcher)
        for name, known in before.items():
            if self.given[name].tobytes() != known:
                raise LaunchFailed(f"it wrote to '{name}', which is an input of its launch")


class BoundProgram:
    """A program bound to its arrays."""

    def __init__(
        self,
        steps: list[_Step],
        inputs: Arrays,
        written: Mapping[str, Guarded],
        outputs: Sequence[str],
    ) -> None:
        self._steps = steps
        self._inputs = inputs
        self._outputs = outputs
        self._threads = worker_threads()
        self.written = written

    def __call__(self) -> None:
        """Run every launch once and wait.

        Raises:
            LaunchFailed: when a barrier is not reached by all threads, or a launch writes to what
                an earlier one gave it.
        """
        for step in self._steps:
            step(lambda launcher: launcher.run(self._threads))

    def run_in(self, order: int) -> None:
        """See `foundry.engines.base.Reorderable`."""
        for step in self._steps:
            step(lambda launcher: launcher.run_in(order, self._threads))

    def clear(self) -> None:
        """Fill all that it writes to with what is no result."""
        for guarded in self.written.values():
            guarded.array.reshape(-1).view(np.uint8).fill(0xFF)

    def inputs(self) -> Arrays:
        """The inputs as they lie in memory."""
        return self._inputs

    def outputs(self) -> Arrays:
        """Copies of the results of the latest call.

        Raises:
            LaunchFailed: when something was written just outside of an output or temporary.
        """
        for name, guarded in self.written.items():
            if not guarded.intact:
                raise LaunchFailed(f"it wrote outside of '{name}': index out of bounds")
        return {name: self.written[name].array.copy() for name in self._outputs}


def _attach(array: NDArray[Any], spec: TensorSpec) -> NDArray[Any]:
    check_input(array, spec)
    if array.flags.c_contiguous and array.ctypes.data % ALIGNMENT == 0:
        return array
    copy = allocate(spec)
    copy[...] = array
    return copy
