"""A process of a Mac that runs launches: MLX's arguments, the runtime, one kernel after another."""

from __future__ import annotations

import ctypes
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
from emulator import Emulator
from numpy.typing import NDArray

from foundry.msl.frontend.signature import Captured, capture_launch
from foundry.msl.run.builder import Builder, Text
from foundry.msl.run.memory import argument_buffers
from foundry.msl.run.runtime import _Launch, _Three
from foundry.program import Launch, Program
from ops.dtypes import numpy_dtype

Arrays = dict[str, NDArray[Any]]
FLAT, FIBRES, SPAN = 0, 2, 4096


class Process:
    """A process with a runtime loaded.

    Args:
        builder: Of its kernels.
        runtime: What they are linked to.
        folder: For kernels.
        red_zone_bytes: Between threadgroup storages.
    """

    def __init__(
        self, builder: Builder, runtime: Path, folder: Path, red_zone_bytes: int = 0
    ) -> None:
        self.emulator = Emulator()
        self.emulator.load(runtime)
        self._builder = builder
        self._folder = folder
        self._red_zone_bytes = red_zone_bytes
        self._count = 0

    def run(self, program: Program, inputs: Arrays) -> Arrays:
        known, specs = dict(inputs), {spec.name: spec for spec in program.inputs}
        for launch in program.launches:
            outputs = {s.name: np.empty(s.shape, numpy_dtype(s.dtype)) for s in launch.outputs}
            captured = capture_launch(launch, [specs[name] for name in launch.inputs])
            arrays = [known[name] for name in launch.inputs]
            failure = self.launch(launch, captured, arrays, list(outputs.values()))
            assert failure == 0
            known.update(outputs)
            specs.update((s.name, s) for s in launch.outputs)
        return {name: known[name] for name in program.outputs}

    def launch(
        self, launch: Launch, captured: Captured, inputs: list[Any], outputs: list[Any]
    ) -> int:
        """The kind of its failure, 0 for none; outputs are filled."""
        kernel = self._load(Text(captured, launch.header, launch.source, launch.math_mode))
        _, arguments = argument_buffers(
            [np.ascontiguousarray(array) for array in inputs], outputs, captured
        )
        places = [self._placed(array.tobytes()) for array in arguments]
        made = self._placed(bytes(self._record(kernel, captured, places)))
        failure = self.emulator.call(self.emulator.symbols["_mf_launch"], made, 1)
        for array, at in zip(outputs, places[len(places) - len(outputs) :], strict=True):
            array[...] = np.frombuffer(self.emulator.read(at, array.nbytes), array.dtype).reshape(
                array.shape
            )
        return failure

    def _load(self, text: Text) -> dict[str, int]:
        self._count += 1
        path = self._folder / f"kernel{self._count}.so"
        unit = self._builder.translate(text)
        self._builder.toolchain.compile(unit.text, text.math_mode, path)
        return self.emulator.load(path)

    def _placed(self, data: bytes) -> int:
        at = self.emulator.allocate(len(data))
        self.emulator.write(at, data)
        return at

    def _record(self, kernel: dict[str, int], captured: Captured, places: list[int]) -> _Launch:
        grid = captured.grid
        group = tuple(min(t, g) for t, g in zip(captured.threadgroup, grid, strict=True))
        groups = tuple(-(-g // t) for g, t in zip(grid, group, strict=True))
        (mode,) = struct.unpack("<I", self.emulator.read(kernel["_mf_mode"], 4))
        record = _Launch()
        record.buffers = self._placed(struct.pack(f"<{len(places)}Q", *places))
        record.grid, record.group, record.groups = _Three(*grid), _Three(*group), _Three(*groups)
        record.strict, record.stride, record.span = 1, 1, min(SPAN, grid[0])
        flat = -(-grid[0] // record.span) * grid[1] * grid[2]
        record.items = flat if mode == FLAT else math.prod(groups)
        storages = self._storages(kernel) if mode == FIBRES else {}
        offsets = (ctypes.c_uint32 * 256)()
        for number, place in storages.items():
            offsets[number] = place.start
        record.storage_bytes = max((place.stop for place in storages.values()), default=0)
        record.storage_offset = self._placed(bytes(offsets))
        entry = "_mf_run_thread" if mode == FIBRES else "_mf_run_items"
        setattr(record, entry.removeprefix("_mf_"), kernel[entry])
        return record

    def _storages(self, kernel: dict[str, int]) -> dict[int, range]:
        """Bytes of threadgroup memory by number of the declaration."""
        count = self._placed(bytes(4))
        table = self.emulator.call(kernel["_mf_storages"], count)
        (entries,) = struct.unpack("<I", self.emulator.read(count, 4))
        end, places = 0, {}
        for at in range(entries):
            number, size, alignment, _ = struct.unpack(
                "<4I", self.emulator.read(table + 16 * at, 16)
            )
            start = -(-(end + self._red_zone_bytes) // alignment) * alignment
            places[number] = range(start, start + size)
            end = start + size
        return places
