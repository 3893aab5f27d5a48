"""Runs a program with every access checked.

1. Each launch is built with checks (`toolchain`); what is too large to launch is a finding.
2. Every array gets a slot of an `Arena`, and cells that remember who touched each byte.
3. The launches run in order on one thread under a time limit; `native` findings become `Finding`s
   with the names, indices and lines of the kernel (`wording`).
4. Elements of outputs that nobody wrote are the last findings.
"""

from __future__ import annotations

import ctypes
import importlib.util
import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundry.engines.base import Launch, Program, TensorSpec, numpy_dtype
from foundry.errors import LaunchFailed
from foundry.msl.builder import Failure, Text
from foundry.msl.memory import argument_buffers
from foundry.msl.runtime import MAX_STORAGE_BYTES, MAX_THREADS, Launcher, Library
from foundry.msl.sanitizer import native, wording
from foundry.msl.sanitizer.arena import Arena
from foundry.msl.sanitizer.findings import (
    BufferTraffic,
    Counters,
    Finding,
    FindingKind,
    Report,
)
from foundry.msl.sanitizer.lines import LineTable
from foundry.msl.sanitizer.toolchain import sanitized_builder
from foundry.msl.sanitizer.watchdog import Watchdog
from foundry.msl.signature import capture_launch

TIME_LIMIT_S = 10.0
_THREADGROUP_BYTES = 1 << 20
_WATCHDOG = Watchdog()
_ONE_AT_A_TIME = threading.Lock()
"""The hooks know one launch."""


@dataclass
class Slot:
    """An array of the program, with what is known of each of its bytes."""

    spec: TensorSpec
    array: NDArray[Any]
    slot: int
    cells: NDArray[np.uint8] | None = None
    initialised: NDArray[np.uint8] | None = None


def sanitize(
    program: Program,
    inputs: Mapping[str, NDArray[Any]],
    *,
    time_limit_s: float = TIME_LIMIT_S,
) -> Report:
    """Run a program once, every access checked.

    Args:
        program: Launches in order.
        inputs: Arrays of `program.inputs`, exact shapes and dtypes.
        time_limit_s: A launch that runs longer is a runaway loop.

    Returns:
        The findings in the order in which they were met, first the first launch's.

    Raises:
        EnvironmentUnusable: the compiler does not work here, or memory is too tightly limited.
    """
    with _ONE_AT_A_TIME:
        arena = _arena(program)
        try:
            return _run(program, inputs, arena, time_limit_s)
        finally:
            arena.close()


def _arena(program: Program) -> Arena:
    specs = [*program.inputs, *(spec for launch in program.launches for spec in launch.outputs)]
    # Of each input a launch may take shape, strides and rank; and it has threadgroup memory.
    arguments = sum(3 * len(launch.inputs) + 1 for launch in program.launches)
    sizes = (numpy_dtype(spec.dtype).itemsize * math.prod(spec.shape) for spec in specs)
    return Arena(len(specs) + arguments, max(_THREADGROUP_BYTES, *sizes))


def _run(
    program: Program, inputs: Mapping[str, NDArray[Any]], arena: Arena, time_limit_s: float
) -> Report:
    slots = {spec.name: _input(arena, spec, inputs[spec.name]) for spec in program.inputs}
    findings: list[Finding] = []
    traffic: list[BufferTraffic] = []
    barriers = atomics = 0
    for number, launch in enumerate(program.launches):
        specs = [slots[name].spec for name in launch.inputs]
        captured = capture_launch(launch, specs)
        if too_many := _too_many_threads(launch, number):
            return Report((*findings, too_many))
        text = Text(captured, launch.header, launch.source, launch.math_mode)
        built = sanitized_builder().build(text)
        if isinstance(built, Failure):
            return Report(tuple(findings), build_log=built.log)
        if too_large := _too_large(built, launch, text, number):
            return Report((*findings, too_large))
        for spec in launch.outputs:
            slots[spec.name] = _output(arena, spec, launch)
        done = _Launched(launch, number, text, built, arena, slots)
        found, stopped = done.run(time_limit_s)
        findings += found
        traffic += done.traffic()
        barriers, atomics = barriers + done.barriers, atomics + done.atomics
        if stopped:
            break
        findings += done.unwritten(program.outputs)
    return Report(tuple(findings), Counters(tuple(traffic), barriers, atomics))


def screen(program: Program, inputs: Mapping[str, NDArray[Any]]) -> Report:
    """What the judge asks before it builds a kernel: the first of these findings is its verdict.

    A kernel that does not build has none, and neither has any where no compiler is installed: the
    next stages say so.
    """
    if importlib.util.find_spec("ziglang") is None:
        return Report()
    return sanitize(program, inputs)


def _input(arena: Arena, spec: TensorSpec, array: NDArray[Any]) -> Slot:
    slot, raw = arena.take(array.nbytes)
    view = raw.view(numpy_dtype(spec.dtype)).reshape(spec.shape)
    view[...] = array
    return Slot(spec, view, slot)


def _output(arena: Arena, spec: TensorSpec, launch: Launch) -> Slot:
    dtype = numpy_dtype(spec.dtype)
    slot, raw = arena.take(dtype.itemsize * math.prod(spec.shape))
    raw.fill(0xFF)
    view = raw.view(dtype).reshape(spec.shape)
    written = np.zeros(raw.size, np.uint8)
    if launch.init_value is not None:
        view.fill(launch.init_value)
        written.fill(1)
    return Slot(spec, view, slot, np.zeros(raw.size * native.CELL_BYTES, np.uint8), written)


def _too_many_threads(launch: Launch, number: int) -> Finding | None:
    threads = math.prod(launch.threadgroup)
    if threads <= MAX_THREADS:
        return None
    sentence = (
        f"too many threads: threadgroup {launch.threadgroup} has {threads}; at most {MAX_THREADS}"
    )
    return Finding(FindingKind.TOO_MANY_THREADS, sentence, launch=number)


def _too_large(library: Library, launch: Launch, text: Text, number: int) -> Finding | None:
    size = sum(len(place) for place in library.storages.values())
    if size <= MAX_STORAGE_BYTES:
        return None
    largest = max(library.storages, key=lambda n: len(library.storages[n]))
    storage = sanitized_builder().translate(text).storages[largest]
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


class _Launched:
    """One launch of the program, set up in the arena."""

    def __init__(
        self,
        launch: Launch,
        number: int,
        text: Text,
        library: Library,
        arena: Arena,
        slots: Mapping[str, Slot],
    ) -> None:
        self._launch, self._number, self._library = launch, number, library
        self._text = text
        self._captured = captured = text.captured
        self.barriers = self.atomics = 0
        outputs = [slots[spec.name] for spec in launch.outputs]
        inputs = [slots[name] for name in launch.inputs]
        _, kept = argument_buffers([s.array for s in inputs], [s.array for s in outputs], captured)
        known = {id(s.array): s for s in (*inputs, *outputs)}
        labels = wording.argument_names(launch, captured)
        self._places: dict[int, tuple[str, Slot]] = {}
        addresses = []
        for label, array in zip(labels, kept, strict=True):
            slot = known.get(id(array)) or _argument(arena, label, array)
            self._places[slot.slot] = (label, slot)
            addresses.append(arena.address(slot.slot))
        self._shared, memory = arena.take(_THREADGROUP_BYTES)
        self._cells = np.zeros(memory.size * native.CELL_BYTES, np.uint8)
        self._arena = arena
        self._launcher = Launcher(library, captured.grid, captured.threadgroup, addresses)

    def run(self, time_limit_s: float) -> tuple[list[Finding], bool]:
        """Findings, and whether the launch was cut short."""
        runtime = self._library.runtime
        state = _state(runtime)
        self._fill(state)
        stopped = False
        with _checked(runtime, time_limit_s):
            try:
                self._launcher.run(1)
            except LaunchFailed:
                stopped = True
        self.barriers, self.atomics = int(state.barriers), int(state.atomics)
        return self._findings(state), stopped

    def _findings(self, state: native.State) -> list[Finding]:
        if not state.found:
            return []
        context = self._context(state)
        found = [wording.finding(raw, context) for raw in state.findings[: state.found]]
        return wording.root_causes(found)

    def unwritten(self, wanted: Sequence[str]) -> list[Finding]:
        """The outputs of the program that this launch writes in part or not at all."""
        outputs = [slot for _, slot in self._places.values() if slot.spec in self._launch.outputs]
        missing = [slot for slot in outputs if slot.spec.name in wanted and not _is_full(slot)]
        if not missing:
            return []
        context = self._context(_state(self._library.runtime))
        return [
            wording.unwritten(slot.spec.name, slot.array, slot.initialised, slot.cells, context)
            for slot in missing
            if slot.initialised is not None and slot.cells is not None
        ]

    def _context(self, state: native.State) -> wording.Context:
        table = _lines(self._library)
        return wording.Context(
            self._launch, self._number, self._captured, self._names(), table, state.code
        )

    def traffic(self) -> list[BufferTraffic]:
        """Bytes moved per buffer."""
        return [
            BufferTraffic(label, self._regions[slot].loaded, self._regions[slot].stored)
            for slot, (label, _) in self._places.items()
        ]

    def _names(self) -> dict[int, wording.Named | wording.Shared]:
        named: dict[int, wording.Named | wording.Shared] = {
            slot: wording.Named(label, entry.array.itemsize, entry.array.size)
            for slot, (label, entry) in self._places.items()
        }
        unit = sanitized_builder().translate(self._text)
        names = {storage.number: ", ".join(storage.names) for storage in unit.storages}
        places = {names[number]: place for number, place in self._library.storages.items()}
        return named | {self._shared: wording.Shared(places)}

    def _fill(self, state: native.State) -> None:
        count = self._shared + 1
        self._regions = (native.Region * count)()
        for slot, (_, entry) in self._places.items():
            region = self._regions[slot]
            region.begin, region.size = self._arena.address(slot), entry.array.nbytes
            if entry.cells is not None and entry.spec in self._launch.outputs:
                entry.cells.fill(0)
                region.cells = entry.cells.ctypes.data
            if entry.initialised is not None:
                region.initialised = entry.initialised.ctypes.data
        shared = self._regions[self._shared]
        shared.begin, shared.size = self._arena.address(self._shared), _THREADGROUP_BYTES
        shared.is_threadgroup, shared.cells = 1, self._cells.ctypes.data
        state.arena, state.arena_bytes = self._arena.begin, self._arena.bytes
        state.shift, state.regions = self._arena.shift, count
        state.region = ctypes.addressof(self._regions)
        state.threadgroup_memory = shared.begin
        state.storages = len(self._library.storages)
        for i, place in enumerate(self._library.storages.values()):
            state.storage_begin[i], state.storage_end[i] = place.start, place.stop
        state.code = _table_address(self._library)
        state.found = state.beyond = state.barriers = state.atomics = 0


def _is_full(slot: Slot) -> bool:
    return slot.initialised is None or bool(slot.initialised.all())


def _argument(arena: Arena, label: str, array: NDArray[Any]) -> Slot:
    """A shape, stride or rank buffer."""
    slot, raw = arena.take(array.nbytes)
    view = raw.view(array.dtype).reshape(array.shape)
    view[...] = array
    return Slot(TensorSpec(label, array.shape, str(array.dtype)), view, slot)


def _state(runtime: ctypes.CDLL) -> native.State:
    runtime.mf_sanitizer_state.restype = ctypes.POINTER(native.State)
    state: native.State = runtime.mf_sanitizer_state().contents
    return state


def _table_address(library: Library) -> int:
    return ctypes.addressof(ctypes.c_uint32.in_dll(library.handle, "mf_lines"))


def _lines(library: Library) -> LineTable:
    start = _table_address(library)
    count = ctypes.c_uint32.from_address(start).value
    rows = (ctypes.c_int32 * (3 * count)).from_address(start + 4)
    triples = ((rows[3 * i], rows[3 * i + 1], rows[3 * i + 2]) for i in range(count))
    return LineTable.of(triples)


@contextmanager
def _checked(runtime: ctypes.CDLL, time_limit_s: float) -> Iterator[None]:
    """Handlers for faults in place; at the time limit the launching thread is interrupted."""
    runtime.mf_sanitizer_begin()
    try:
        with _WATCHDOG.watch(time_limit_s):
            yield
    finally:
        runtime.mf_sanitizer_end()
