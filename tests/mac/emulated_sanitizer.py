"""The sanitizer in a process of a Mac: `sanitizer/launched.py` over the guest's memory."""

from __future__ import annotations

import ctypes
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from emulated import FIBRES, Process
from numpy.typing import NDArray

from foundry.msl.build.toolchain import Toolchain
from foundry.msl.frontend.signature import Captured
from foundry.msl.run.builder import Text
from foundry.msl.run.memory import argument_buffers
from foundry.msl.sanitizer import native
from foundry.msl.sanitizer.checks.lines import LineTable
from foundry.msl.sanitizer.checks.toolchain import RED_ZONE_BYTES, builder_on
from foundry.program import Launch

SHIFT = 22
"""Bytes of a slot, as a power of two: arrays here are small."""
THREADGROUP_BYTES = 1 << 20
STACK_OVERFLOW = 9


@dataclass(frozen=True)
class Found:
    """A finding: the number of its kind, and the line of the body that the library tells."""

    kind: int
    line: int | None


class SanitizedProcess(Process):
    """A process that runs kernels with checks."""

    def __init__(self, plain: Toolchain, folder: Path) -> None:
        builder = builder_on(plain)
        super().__init__(builder, builder.toolchain.runtime, folder, RED_ZONE_BYTES)
        self._state = self.emulator.call(self.emulator.symbols["_mf_sanitizer_state"])

    def launch(
        self, launch: Launch, captured: Captured, inputs: list[Any], outputs: list[Any]
    ) -> int:
        """As without checks; every finding is a failure."""
        return len(self.examine(launch, captured, inputs, outputs))

    def examine(
        self, launch: Launch, captured: Captured, inputs: list[Any], outputs: list[Any]
    ) -> list[Found]:
        """What the hooks find; outputs are filled."""
        kernel = self._load(Text(captured, launch.header, launch.source, launch.math_mode))
        _, arguments = argument_buffers(
            [np.ascontiguousarray(array) for array in inputs], outputs, captured
        )
        arena = self.emulator.reserve((len(arguments) + 1) << SHIFT)
        places = [_middle(arena, slot) for slot in range(len(arguments) + 1)]
        first_output = len(arguments) - len(outputs)
        regions = (native.Region * len(places))()
        for slot, array in enumerate(arguments):
            self.emulator.write(places[slot], array.tobytes())
            self._describe(regions[slot], places[slot], array, slot >= first_output)
        record = self._record(kernel, captured, places[:-1])
        self._share(regions[-1], places[-1], record.storage_bytes)
        self._fill(kernel, arena, self._placed(bytes(regions)), places[-1])
        self.emulator.call(self.emulator.symbols["_mf_sanitizer_begin"])
        self.emulator.call(self.emulator.symbols["_mf_launch"], self._placed(bytes(record)), 1)
        self.emulator.call(self.emulator.symbols["_mf_sanitizer_end"])
        for array, at in zip(outputs, places[first_output:-1], strict=True):
            raw = np.frombuffer(self.emulator.read(at, array.nbytes), array.dtype)
            array[...] = raw.reshape(array.shape)
        return self._findings(kernel)

    def _describe(
        self, region: native.Region, at: int, array: NDArray[Any], is_output: bool
    ) -> None:
        region.begin = region.window = at
        region.size = region.window_bytes = array.nbytes
        region.is_input = not is_output
        if is_output:
            self._stamp(region, array.nbytes)
            region.granule = min(array.itemsize.bit_length() - 1, native.LARGEST_GRANULE)
            region.is_new = 1

    def _share(self, region: native.Region, at: int, size: int) -> None:
        region.begin, region.size = at, size
        region.window, region.is_threadgroup = at, 1
        self._stamp(region, THREADGROUP_BYTES)

    def _stamp(self, region: native.Region, size: int) -> None:
        region.writes = self.emulator.reserve(max(1, size) * native.STAMP_BYTES * native.STAMPS)
        region.reads = region.writes + max(1, size) * native.STAMP_BYTES

    def _fill(self, kernel: dict[str, int], arena: int, regions: int, shared: int) -> None:
        state, hot = native.SanitizerState(), native.Hot()
        slots = (shared - arena >> SHIFT) + 1
        hot.arena, hot.arena_bytes, hot.shift = arena, slots << SHIFT, SHIFT
        hot.region, hot.regions, hot.when = regions, slots, self._time()
        state.threadgroup_memory, state.shared = shared, slots - 1
        is_shared = self.emulator.read(kernel["_mf_mode"], 4) == struct.pack("<I", FIBRES)
        places = self._storages(kernel) if is_shared else {}
        state.storages = len(places)
        for at, place in enumerate(places.values()):
            state.storage_begin[at], state.storage_end[at] = place.start, place.stop
        state.code = kernel["_mf_lines"]
        self.emulator.write(self._state, bytes(state))
        self.emulator.write(self.emulator.symbols["_mf_hot"], bytes(hot))

    def _time(self) -> int:
        raw = self.emulator.read(self.emulator.symbols["_mf_hot"], ctypes.sizeof(native.Hot))
        return int(native.Hot.from_buffer_copy(raw).when)

    def _findings(self, kernel: dict[str, int]) -> list[Found]:
        raw = self.emulator.read(self._state, ctypes.sizeof(native.SanitizerState))
        state, lines = native.SanitizerState.from_buffer_copy(raw), self._lines(kernel)
        return [
            Found(found.kind, _line(found, lines, kernel["_mf_lines"]))
            for found in state.findings[: state.found]
        ]

    def _lines(self, kernel: dict[str, int]) -> LineTable:
        start = kernel["_mf_lines"]
        (count,) = struct.unpack("<I", self.emulator.read(start, 4))
        rows = struct.iter_unpack("<3i", self.emulator.read(start + 4, 12 * count))
        return LineTable.of((at, part, line) for at, part, line in rows)


def _middle(arena: int, slot: int) -> int:
    return arena + (slot << SHIFT) + (1 << (SHIFT - 1))


def _line(found: native.FindingRecord, lines: LineTable, table: int) -> int | None:
    """As `wording.finding` tells it."""
    if found.line:
        return int(found.line)
    if found.kind == STACK_OVERFLOW:
        place = lines.place(found.other_place - table) if found.other_place else None
        place = place or lines.next_place(found.place - table)
    else:
        place = lines.place(found.place - table)
    return place.line if place else None
