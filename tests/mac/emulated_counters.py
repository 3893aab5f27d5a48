"""The counters in a process of a Mac: what `counters/run.py` does, over the guest's memory."""

from __future__ import annotations

import ctypes
import struct
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from emulated import Process
from emulator import PAGE_BYTES
from numpy.typing import NDArray

from foundry.msl.counters import native
from foundry.msl.counters.instrument import Kind
from foundry.msl.counters.run import ENOUGH_EVENTS, MOST_EVENTS
from foundry.msl.counters.toolchain import CountingBuilder
from foundry.msl.frontend.signature import Captured
from foundry.msl.gpu.toolchain import GpuBuilder
from foundry.msl.run.builder import Text
from foundry.msl.run.memory import argument_buffers
from foundry.program import Launch

Counts = Counter[tuple[Kind, int, str]]
"""Of kind, number of the argument and field: how many."""


class CountingProcess(Process):
    """A process that counts what kernels do."""

    def __init__(self, builder: CountingBuilder | GpuBuilder, folder: Path) -> None:
        super().__init__(builder, builder.toolchain.runtime, folder)
        self._state = self.emulator.call(self.emulator.symbols["_mf_counters_state"])

    def count(
        self, launch: Launch, captured: Captured, inputs: list[Any], outputs: list[Any]
    ) -> tuple[Counts, native.CounterState]:
        """What all threadgroups of a launch do."""
        kernel = self._load(Text(captured, launch.header, launch.source, launch.math_mode))
        _, arguments = argument_buffers(inputs, outputs, captured)
        sizes = [-(-array.nbytes // PAGE_BYTES) * PAGE_BYTES for array in arguments]
        starts = np.cumsum([0, *sizes])
        block = self.emulator.allocate(int(starts[-1]) + (1 << 16))
        places = [block + int(start) for start in starts[:-1]]
        for at, array in zip(places, arguments, strict=True):
            self.emulator.write(at, array.tobytes())
        record = self._record(kernel, captured, places)
        (count,) = struct.unpack("<I", self.emulator.read(kernel["_mf_place_count"], 4))
        shape = (count, len(arguments), len(native.TALLY_FIELDS))
        state = native.CounterState()
        state.block, state.block_bytes = block, int(starts[-1]) + (1 << 16)
        state.threadgroup_memory, state.most_events = block + int(starts[-1]), MOST_EVENTS
        state.tally, state.arrays = self.emulator.allocate(8 * int(np.prod(shape))), len(arguments)
        state.ranges = self._ranges(places, arguments)
        self.emulator.write(self._state, bytes(state))
        order = self._placed(struct.pack(f"<{record.items}Q", *range(record.items)))
        failure = self.emulator.call(
            self.emulator.symbols["_mf_count_launch"],
            self._placed(bytes(record)), order, int(record.items), ENOUGH_EVENTS,
        )  # fmt: skip
        assert failure == 0
        raw = self.emulator.read(self._state, ctypes.sizeof(native.CounterState))
        tally = np.frombuffer(self.emulator.read(state.tally, 8 * int(np.prod(shape))), np.uint64)
        counted = self._summed(kernel, tally.reshape(shape))
        return counted, native.CounterState.from_buffer_copy(raw)

    def _ranges(self, places: list[int], arguments: list[NDArray[Any]]) -> int:
        ranges = (native.MemoryRange * len(places))()
        for one, at, array in zip(ranges, places, arguments, strict=True):
            one.begin, one.end = at, at + array.nbytes
        return self._placed(bytes(ranges))

    def _summed(self, kernel: dict[str, int], tally: NDArray[np.uint64]) -> Counts:
        table = self.emulator.read(kernel["_mf_places"], 12 * len(tally))
        found: Counts = Counter()
        for (kind, _, _), rows in zip(struct.iter_unpack("<3I", table), tally, strict=True):
            for array, row in enumerate(rows):
                for field, value in zip(native.TALLY_FIELDS[:-1], row, strict=False):
                    found[Kind(kind), array, field] += int(value)
        return found
