"""Runs a program with hooks and reads what they counted.

1. Each launch is built with hooks (`toolchain`), its arrays copied into one block of memory.
2. Its threadgroups run on one thread: all, or a sample of them that stands for all (`sample`).
3. The tallies of places become those of lines and arrays (`model`), scaled where a sample ran.
4. Later launches read what earlier ones wrote; a launch that ran in part runs once more, whole, on
   the cpu engine.
"""

from __future__ import annotations

import ctypes
import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundry.errors import LaunchFailed
from foundry.msl.counters import native
from foundry.msl.counters.instrument import Kind
from foundry.msl.counters.model import (
    ATOMIC,
    CONSTANT,
    DEVICE,
    LOAD,
    STORE,
    THREADGROUP,
    ArrayCount,
    Counters,
    LaunchCount,
    LineCount,
    Traffic,
)
from foundry.msl.counters.places import PARTS
from foundry.msl.counters.sample import sample
from foundry.msl.counters.toolchain import counting_builder
from foundry.msl.frontend.signature import Captured, capture_launch, parse
from foundry.msl.run.builder import Builder, Text, default_builder
from foundry.msl.run.memory import argument_buffers, filling, refuse_sizes
from foundry.msl.run.program import build
from foundry.msl.run.runtime import MAX_STORAGE_BYTES, Launcher, LoadedKernel
from foundry.program import BuildFailure, Launch, Program, TensorSpec
from ops.dtypes import numpy_dtype

THREADGROUPS = 64
"""As many are counted at most, unless the caller says otherwise."""
ENOUGH_EVENTS = 8_000_000
"""No further threadgroup is begun after this many accesses and collectives of lanes."""
MOST_EVENTS = 200_000_000
"""A threadgroup that does more cannot be counted."""
MOST_LINES = 50
"""Of a launch that are kept, those with most transactions."""
_THREADGROUP_BYTES = 1 << 16
_PAGE_BYTES = 1 << 14
_ACCESS = {
    Kind.LOAD: LOAD,
    Kind.STORE: STORE,
    Kind.ATOMIC_LOAD: ATOMIC,
    Kind.ATOMIC_STORE: ATOMIC,
    Kind.ATOMIC_UPDATE: ATOMIC,
}
ONE_AT_A_TIME = threading.Lock()
"""The hooks know one launch."""
Arrays = dict[str, NDArray[Any]]
Capture = Callable[[Launch, Sequence[TensorSpec]], Captured]


def count(
    program: Program,
    inputs: Mapping[str, NDArray[Any]],
    *,
    threadgroups: int = THREADGROUPS,
    capture: Capture = capture_launch,
) -> Counters:
    """Count what a program does on these inputs.

    It should have passed the sanitizer on them: here nothing stops it from running forever, or
    from touching what is not its own.

    Args:
        program: Launches in order.
        inputs: Arrays of `program.inputs`, exact shapes and dtypes.
        threadgroups: Most that are counted of each launch. Where there are more, those counted are
            spread over the grid, and every total is scaled to all threads.
        capture: What is generated for a launch over inputs of these shapes and dtypes.

    Raises:
        LaunchFailed: It does not build, a barrier is not reached by all threads, or it does too
            much to be counted.
        EnvironmentUnusable: The compiler does not work here, or memory is too tightly limited.
    """
    arrays: Arrays = dict(inputs)
    specs = {spec.name: spec for spec in program.inputs}
    counted = []
    for number, launch in enumerate(program.launches):
        taken = [specs[name] for name in launch.inputs]
        captured = capture(launch, taken)
        count, written = _count(launch, number, captured, taken, arrays, threadgroups)
        counted.append(count)
        specs |= {spec.name: spec for spec in launch.outputs}
        if number + 1 < len(program.launches):
            arrays |= whole(launch, taken, arrays) if count.is_estimate else written
    return Counters(tuple(counted))


def _count(
    launch: Launch,
    number: int,
    captured: Captured,
    taken: list[TensorSpec],
    arrays: Arrays,
    most: int,
) -> tuple[LaunchCount, Arrays]:
    if refused := refuse_sizes(captured):
        raise LaunchFailed(refused)
    text = Text(captured, launch.header, launch.source, launch.math_mode)
    library = counting_builder(text.dialect).build(text)
    if isinstance(library, BuildFailure):
        raise LaunchFailed(f"the kernel does not build: {library.log}")
    size = sum(len(place) for place in library.storages.values())
    if size > MAX_STORAGE_BYTES:
        raise LaunchFailed(f"{size} bytes of threadgroup memory; at most {MAX_STORAGE_BYTES}")
    outputs = [output(spec, launch, arrays) for spec in launch.outputs]
    written = {spec.name: array for spec, array in zip(launch.outputs, outputs, strict=True)}
    if 0 in captured.grid:
        return LaunchCount(number, 0, 0, 0, 0, 0, 0, 0), written
    _, kept = argument_buffers([arrays[s.name] for s in taken], outputs, captured)
    with ONE_AT_A_TIME:
        run = CountingRun(text, launch, number, library, kept)
        count = run.count(most)
    for array, view in zip(outputs, run.views[len(kept) - len(outputs) :], strict=True):
        array[...] = view
    return count, written


def output(spec: TensorSpec, launch: Launch, arrays: Arrays) -> NDArray[Any]:
    """The array that a launch writes: as an earlier one left it, or filled as MLX would."""
    if spec.name in arrays:
        return arrays[spec.name].copy()
    fill = 0 if launch.init_value is None else launch.init_value
    dtype = numpy_dtype(spec.dtype)
    return np.full(spec.shape, filling(fill, dtype), dtype)


def whole(launch: Launch, taken: list[TensorSpec], arrays: Arrays) -> Arrays:
    """What a launch writes when all of it runs."""
    program = Program(tuple(taken), tuple(spec.name for spec in launch.outputs), (launch,))
    built = build(program, default_builder())
    if isinstance(built, BuildFailure):
        raise LaunchFailed(f"the kernel does not build: {built.log}")
    call = built.bind({spec.name: arrays[spec.name] for spec in taken})
    call()
    return call.outputs()


@dataclass(frozen=True)
class _Place:
    kind: Kind
    part: int
    line: int


@dataclass(frozen=True)
class _Array:
    """One that the kernel sees: an argument, or a threadgroup variable."""

    name: str
    space: str
    begin: int
    bytes: int


class CountingRun:
    """One launch, its arguments and threadgroup memory in one block."""

    enough_events = ENOUGH_EVENTS

    def __init__(
        self,
        text: Text,
        launch: Launch,
        number: int,
        library: LoadedKernel,
        kept: Sequence[NDArray[Any]],
        builder: Builder | None = None,
    ) -> None:
        self._launch, self._number, self._library = launch, number, library
        self._block = _aligned(sum(map(_paged, kept)) + _THREADGROUP_BYTES)
        self._arrays: list[_Array] = []
        self.views: list[NDArray[Any]] = []
        offset = 0
        for (name, space), array in zip(_arguments(text), kept, strict=True):
            view = self._block[offset : offset + array.nbytes].view(array.dtype)
            self.views.append(view.reshape(array.shape))
            self.views[-1][...] = array
            at = self._block.ctypes.data + offset
            self._arrays.append(_Array(name, space, at, array.nbytes))
            offset += _paged(array)
        self._shared = self._block.ctypes.data + offset
        addresses = [array.begin for array in self._arrays]
        captured = text.captured
        self._launcher = Launcher(library, captured.grid, captured.threadgroup, addresses)
        self._threads = math.prod(captured.grid)
        self._places = _places(library)
        builder = builder or counting_builder(text.dialect)
        unit = builder.translate(text) if library.storages else None
        for storage in unit.storages if unit else ():
            if place := library.storages.get(storage.number):
                name, at = ", ".join(storage.names), self._shared + place.start
                self._arrays.append(_Array(name, THREADGROUP, at, len(place)))

    def count(self, most: int) -> LaunchCount:
        """Run the threadgroups.

        Raises:
            LaunchFailed: The kernel does too much, or misses a barrier.
        """
        shape = (len(self._places), max(len(self._arrays), 1), len(native.TALLY_FIELDS))
        tally = np.zeros(shape, np.uint64)
        ranges = (native.MemoryRange * len(self._arrays))()
        for one, array in zip(ranges, self._arrays, strict=True):
            one.begin, one.end = array.begin, array.begin + array.bytes
            one.is_threadgroup = array.space == THREADGROUP
        state = self._fill(tally, ranges)
        total = self._launcher.items
        order = np.array(self._order(total, most), np.uint64)
        self._watch(len(self._arrays))
        failure = self._library.runtime.mf_count_launch(
            ctypes.c_void_p(self._launcher.address),
            ctypes.c_void_p(order.ctypes.data),
            ctypes.c_uint64(len(order)),
            ctypes.c_uint64(self.enough_events),
        )
        if failure == native.TOO_MUCH:
            raise LaunchFailed(f"a threadgroup does more than {MOST_EVENTS:,} accesses")
        if failure:
            raise LaunchFailed("a barrier is not reached by all threads of a threadgroup")
        return self._summed(tally, state, total)

    def _order(self, total: int, most: int) -> Sequence[int]:
        """The threadgroups to run, of so many."""
        return sample(total, most)

    def _watch(self, arrays: int) -> None:
        """What else is to be counted, before it runs."""

    def _fill(
        self, tally: NDArray[np.uint64], ranges: ctypes.Array[native.MemoryRange]
    ) -> native.CounterState:
        runtime = self._library.runtime
        runtime.mf_counters_state.restype = ctypes.POINTER(native.CounterState)
        state: native.CounterState = runtime.mf_counters_state().contents
        ctypes.memset(ctypes.addressof(state), 0, ctypes.sizeof(state))
        state.block, state.block_bytes = self._block.ctypes.data, self._block.nbytes
        state.threadgroup_memory = self._shared
        state.ranges, state.arrays = ctypes.addressof(ranges), len(ranges)
        state.tally, state.most_events = tally.ctypes.data, MOST_EVENTS
        return state

    def _summed(
        self, tally: NDArray[np.uint64], state: native.CounterState, total: int
    ) -> LaunchCount:
        factor = self._threads / state.threads
        waits = dict.fromkeys((Kind.COLLECTIVE, Kind.SIMD_BARRIER), 0)
        for place, row in zip(self._places, tally, strict=True):
            if place.kind in waits:
                waits[place.kind] += int(row[0, 0])
        # A SIMD-group's barrier waits as a collective does.
        collectives = waits[Kind.COLLECTIVE] - waits[Kind.SIMD_BARRIER]
        found = list(self._traffic(tally, factor))
        return LaunchCount(
            self._number,
            total,
            int(state.threadgroups),
            self._threads,
            round(state.groups * factor),
            round(state.barriers * factor),
            round(waits[Kind.SIMD_BARRIER] * factor),
            round(collectives * factor),
            self._by_array(found),
            self._by_line(found),
        )

    def _traffic(
        self, tally: NDArray[np.uint64], factor: float
    ) -> Iterator[tuple[_Place, int, Traffic]]:
        """By place and array; a place without a line has that of the call it is in."""
        for number, array in np.argwhere(tally[:, :, 0]):
            place = self._places[number]
            if place.kind in _ACCESS:
                counted = [int(value) for value in tally[number, array]]
                if not place.line:
                    caller = self._places[counted[-1]]
                    place = _Place(place.kind, caller.part, caller.line)
                yield place, int(array), Traffic(*counted[:-1]).scaled(factor)

    def _by_array(self, found: list[tuple[_Place, int, Traffic]]) -> tuple[ArrayCount, ...]:
        totals: dict[tuple[int, str], Traffic] = {}
        for place, array, traffic in found:
            key = (array, _ACCESS[place.kind])
            totals[key] = totals.get(key, Traffic()) + traffic
        return tuple(
            ArrayCount(
                array.name,
                array.space,
                array.bytes,
                *(totals.get((number, access), Traffic()) for access in (LOAD, STORE, ATOMIC)),
            )
            for number, array in enumerate(self._arrays)
        )

    def _by_line(self, found: list[tuple[_Place, int, Traffic]]) -> tuple[LineCount, ...]:
        totals: dict[tuple[int, int, int, str], Traffic] = {}
        for place, array, traffic in found:
            key = (place.part, place.line, array, _ACCESS[place.kind])
            totals[key] = totals.get(key, Traffic()) + traffic
        lines = [self._line(*key, traffic) for key, traffic in totals.items()]
        return tuple(sorted(lines, key=lambda line: -line.traffic.transactions)[:MOST_LINES])

    def _line(self, part: int, line: int, array: int, access: str, traffic: Traffic) -> LineCount:
        text = (self._launch.header, self._launch.source)[part].split("\n")
        known = 0 < line <= len(text)
        return LineCount(
            self._number,
            PARTS[part] if known else "",
            line if known else 0,
            text[line - 1].strip() if known else "",
            self._arrays[array].name,
            self._arrays[array].space,
            access,
            traffic,
        )


def _arguments(text: Text) -> list[tuple[str, str]]:
    """Names and memories of the arguments in the order of their indices."""
    parameters = parse(text.captured, text.header, text.source).parameters
    buffers = {p.buffer: p for p in parameters if p.buffer is not None}
    return [
        (p.name, CONSTANT if "constant" in p.type.split() else DEVICE)
        for _, p in sorted(buffers.items())
    ]


def _paged(array: NDArray[Any]) -> int:
    return -(-array.nbytes // _PAGE_BYTES) * _PAGE_BYTES


def _aligned(size: int) -> NDArray[np.uint8]:
    """Zeroed memory that starts at a page, as a GPU's buffers do."""
    raw = np.zeros(size + _PAGE_BYTES, np.uint8)
    start = -raw.ctypes.data % _PAGE_BYTES
    return raw[start : start + size]


def _places(library: LoadedKernel) -> list[_Place]:
    handle = library.handle
    count = ctypes.c_uint32.in_dll(handle, "mf_place_count").value
    table = (ctypes.c_uint32 * (3 * count)).in_dll(handle, "mf_places")
    return [_Place(Kind(table[3 * i]), table[3 * i + 1], table[3 * i + 2]) for i in range(count)]
