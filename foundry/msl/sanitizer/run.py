"""Runs a program with every access checked, in this process.

1. Each launch is built with checks (`toolchain`); what is too large to launch is a finding.
2. Every array gets a slot of an `Arena`, with stamps that remember who touched its bytes.
3. The launches run in order on one thread under a time limit (`launched`); what the hooks found is
   worded with the names, indices and lines of the kernel (`wording`).
4. Elements of outputs that nobody wrote are the last findings.

A kernel that crashes the compiler, or that finds a hole in the checks, harms the process it runs
in: what comes from strangers belongs into a worker (`foundry sanitize` and the judge do so).
"""

from __future__ import annotations

import functools
import importlib.util
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from foundry.msl.frontend.signature import Captured, capture_launch
from foundry.msl.run.builder import Text
from foundry.msl.run.memory import filling
from foundry.msl.run.runtime import MAX_STORAGE_BYTES, MAX_THREADS, LoadedKernel
from foundry.msl.sanitizer import native, wording
from foundry.msl.sanitizer.arena import Arena
from foundry.msl.sanitizer.checks.toolchain import quick_builder, sanitized_builder
from foundry.msl.sanitizer.findings import Finding, FindingKind, Report
from foundry.msl.sanitizer.launched import (
    THREADGROUP_BYTES,
    ArraySlot,
    Launched,
    has_quick_checks,
    state_of,
)
from foundry.program import BuildFailure, Launch, Program, TensorSpec
from ops.dtypes import numpy_dtype

if TYPE_CHECKING:
    from foundry.msl.counters import Counters

TIME_LIMIT_S = 10.0
_EXAMINE_START_S = 1.0
_EXAMINE_PER_ELEMENT_S = 2e-5
"""Of processor time. The templates need up to 13 ms for visible workloads."""
Capture = Callable[[Launch, Sequence[TensorSpec]], Captured]
_ONE_AT_A_TIME = threading.Lock()
"""The hooks know one launch."""
_kept: list[Arena] = []
"""The arena of the latest run, to be used again."""


def sanitize(
    program: Program,
    inputs: Mapping[str, NDArray[Any]],
    *,
    time_limit_s: float = TIME_LIMIT_S,
    capture: Capture = capture_launch,
) -> Report:
    """Run a program once, every access checked.

    Args:
        program: Launches in order.
        inputs: Arrays of `program.inputs`, exact shapes and dtypes. A launch's output of the same
            name is such an array, written in place.
        time_limit_s: A launch that runs longer is a runaway loop.
        capture: What MLX generates for a launch over inputs of these shapes and dtypes.

    Returns:
        The findings in the order in which they were met, first the first launch's.

    Raises:
        EnvironmentUnusable: the compiler does not work here, or memory is too tightly limited.
    """
    with _ONE_AT_A_TIME:
        arena = _arena(program)
        try:
            report = _run(program, inputs, arena, time_limit_s, capture)
        except BaseException:
            arena.close()
            raise
        _kept.append(arena)
        return report


def _arena(program: Program) -> Arena:
    specs = [*program.inputs, *(spec for launch in program.launches for spec in launch.outputs)]
    # Of each input a launch may take shape, strides and rank; and it has threadgroup memory.
    arguments = sum(3 * len(launch.inputs) + 1 for launch in program.launches)
    sizes = (numpy_dtype(spec.dtype).itemsize * math.prod(spec.shape) for spec in specs)
    marks = sum(len(launch.outputs) for launch in program.launches)
    count, largest = len(specs) + 2 * arguments + marks, max((THREADGROUP_BYTES, *sizes))
    arena = _kept.pop() if _kept else None
    if arena is not None and arena.fits(count, largest):
        arena.clear()
        return arena
    if arena is not None:
        arena.close()
    return Arena(count, largest)


def _run(
    program: Program,
    inputs: Mapping[str, NDArray[Any]],
    arena: Arena,
    time_limit_s: float,
    capture: Capture,
) -> Report:
    slots = {spec.name: _input(arena, spec, inputs[spec.name]) for spec in program.inputs}
    findings: list[Finding] = []
    run_s = 0.0
    for number, launch in enumerate(program.launches):
        specs = [slots[name].spec for name in launch.inputs]
        captured = capture(launch, specs)
        if too_many := _too_many_threads(launch, number):
            return Report((*findings, too_many))
        text = Text(captured, launch.header, launch.source, launch.math_mode)
        built = quick_builder(text.dialect).build(text)
        if isinstance(built, BuildFailure):
            return Report(tuple(findings), build_log=built.log)
        if too_large := _too_large(built, launch, text, number):
            return Report((*findings, too_large))
        for spec in launch.outputs:
            if spec.name not in inputs:  # else it is written in place
                slots[spec.name] = _output(arena, spec, launch)
        if not number:
            _set_clock(built, arena)
        if has_quick_checks(built):
            done = Launched(launch, number, text, built, arena, slots)
            if not any(slots[name].unset for name in launch.inputs) and done.is_surely_right(
                time_limit_s
            ):
                run_s += done.run_s
                continue
            _refill(slots, launch, inputs)
            built = sanitized_builder(text.dialect).build(text)
            if isinstance(built, BuildFailure):
                return Report(tuple(findings), build_log=built.log)
        done = Launched(launch, number, text, built, arena, slots)
        found, stopped = done.run(time_limit_s)
        findings += found
        run_s += done.run_s
        if stopped:
            break
        findings += done.unwritten(program.outputs)
    return Report(
        tuple(findings),
        run_s=run_s,
        count=functools.partial(_count, program, dict(inputs), capture),
    )


def _count(program: Program, inputs: Mapping[str, NDArray[Any]], capture: Capture) -> Counters:
    from foundry.msl.counters import count

    return count(program, inputs, capture=capture)


def _set_clock(library: LoadedKernel, arena: Arena) -> None:
    """Start time anew before it overflows."""
    hot = state_of(library.runtime).hot
    if hot.when > native.LATEST_TIME:
        arena.forget()
        hot.when = 0


def examine(program: Program, inputs: Mapping[str, NDArray[Any]]) -> Report:
    """What the judge asks before it builds a kernel: the first of these findings is its verdict.

    A kernel that does not build has none, and neither has any where no compiler is installed: the
    report then has a `build_log`. The time limit follows the number of elements: what hangs on a
    small workload is known to hang after a second.
    """
    if not _has_compiler():
        return Report(build_log="no compiler is installed")
    elements = sum(array.size for array in inputs.values())
    limit_s = min(TIME_LIMIT_S, _EXAMINE_START_S + _EXAMINE_PER_ELEMENT_S * elements)
    return sanitize(program, inputs, time_limit_s=limit_s)


@functools.cache
def _has_compiler() -> bool:
    return importlib.util.find_spec("ziglang") is not None


def _input(arena: Arena, spec: TensorSpec, array: NDArray[Any]) -> ArraySlot:
    slot, raw = arena.take(array.nbytes)
    view = raw.view(numpy_dtype(spec.dtype)).reshape(spec.shape)
    view[...] = array
    return ArraySlot(spec, view, slot)


def _output(arena: Arena, spec: TensorSpec, launch: Launch) -> ArraySlot:
    dtype = numpy_dtype(spec.dtype)
    slot, raw = arena.take(dtype.itemsize * math.prod(spec.shape))
    view = raw.view(dtype).reshape(spec.shape)
    _set(view, launch)
    return ArraySlot(spec, view, slot, is_new=launch.init_value is None)


def _set(array: NDArray[Any], launch: Launch) -> None:
    """What an output holds before its launch."""
    if launch.init_value is None:
        array.reshape(-1).view(np.uint8).fill(0xFF)
    else:
        array[...] = filling(launch.init_value, array.dtype)


def _refill(
    slots: Mapping[str, ArraySlot], launch: Launch, inputs: Mapping[str, NDArray[Any]]
) -> None:
    for spec in launch.outputs:
        if spec.name in inputs:
            slots[spec.name].array[...] = inputs[spec.name]
        else:
            _set(slots[spec.name].array, launch)


def _too_many_threads(launch: Launch, number: int) -> Finding | None:
    threads = math.prod(launch.threadgroup)
    if threads <= MAX_THREADS:
        return None
    sentence = (
        f"too many threads: threadgroup {launch.threadgroup} has {threads}; at most {MAX_THREADS}"
    )
    return Finding(FindingKind.TOO_MANY_THREADS, sentence, launch=number)


def _too_large(library: LoadedKernel, launch: Launch, text: Text, number: int) -> Finding | None:
    size = sum(len(place) for place in library.storages.values())
    if size <= MAX_STORAGE_BYTES:
        return None
    largest = max(library.storages, key=lambda n: len(library.storages[n]))
    storage = sanitized_builder(text.dialect).translate(text).storages[largest]
    part, line = wording.declaration(launch, storage)
    return Finding(
        FindingKind.THREADGROUP_MEMORY,
        f"too much threadgroup memory: the kernel needs {size} bytes, of which"
        f" {storage.names[0]} takes {len(library.storages[largest])}; at most {MAX_STORAGE_BYTES}",
        buffer=storage.names[0],
        part=part,
        part_line=storage.line,
        text=line,
        launch=number,
    )
