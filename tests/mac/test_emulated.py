"""Kernels cross-built for a Mac, run: every op's, the sanitizer's, and those that end badly."""

from __future__ import annotations

import ctypes
import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emulator import Emulator
from numpy.typing import NDArray

from foundry.judge.oracle.inputs import make_inputs
from foundry.kernel import parse
from foundry.kernel.binding import bind
from foundry.msl.build.target import BuildTarget
from foundry.msl.build.toolchain import Toolchain, find_toolchain
from foundry.msl.frontend.signature import Captured, capture_launch
from foundry.msl.run.builder import Builder, Text
from foundry.msl.run.runtime import _Launch, _Three
from foundry.program import Launch, Program, TensorSpec
from ops import get
from ops.dtypes import numpy_dtype
from templates import Template, default, for_op, render

Arrays = dict[str, NDArray[Any]]
FLAT, FIBRES, SPAN = 0, 2, 4096
OUT_OF_STACK, WILD = 7, 6


@pytest.fixture(scope="module")
def mac(tmp_path_factory: pytest.TempPathFactory) -> Toolchain:
    return find_toolchain(
        tmp_path_factory.mktemp("cache"), BuildTarget("darwin", "arm64", is_native=False)
    )


class Process:
    """A process with the plain runtime loaded."""

    def __init__(self, toolchain: Toolchain, folder: Path) -> None:
        self.emulator = Emulator()
        self.emulator.load(toolchain.runtime())
        self._builder = Builder(toolchain)
        self._folder = folder
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
        arguments: list[NDArray[Any]] = []
        for array, (shape, strides, rank) in zip(inputs, captured.shape_info, strict=True):
            arguments.append(np.ascontiguousarray(array))
            arguments += [np.array(array.shape, np.int32)] if shape else []
            packed = np.array(array.strides, np.int64) // array.itemsize
            arguments += [packed] if strides else []
            arguments += [np.array(array.ndim, np.int32)] if rank else []
        arguments += outputs
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
        record.storage_bytes, offsets = self._storages(kernel) if mode == FIBRES else (0, b"")
        record.storage_offset = self._placed(offsets or bytes(4))
        entry = "_mf_run_thread" if mode == FIBRES else "_mf_run_items"
        setattr(record, entry.removeprefix("_mf_"), kernel[entry])
        return record

    def _storages(self, kernel: dict[str, int]) -> tuple[int, bytes]:
        count = self._placed(bytes(4))
        table = self.emulator.call(kernel["_mf_storages"], count)
        (entries,) = struct.unpack("<I", self.emulator.read(count, 4))
        end, offsets = 0, (ctypes.c_uint32 * 256)()
        for at in range(entries):
            number, size, alignment, _ = struct.unpack(
                "<4I", self.emulator.read(table + 16 * at, 16)
            )
            offsets[number] = -(-end // alignment) * alignment
            end = offsets[number] + size
        return end, bytes(offsets)


@pytest.fixture(scope="module")
def process(mac: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Process:
    return Process(mac, tmp_path_factory.mktemp("kernels"))


OPS = (
    "silu", "swiglu", "softmax", "rms_norm", "layer_norm",
    "rope", "cumsum", "topk", "matmul", "attention",
)  # fmt: skip


def outcomes(process: Process, template: Template, dtype: str) -> Iterator[tuple[Any, Any]]:
    """Every output, and what it should be."""
    op = get(template.op)
    workload = op.workloads("visible", dtype)[1]
    inputs = make_inputs(op, workload, "normal", 3)
    want = op.oracle({k: np.asarray(v, np.float64) for k, v in inputs.items()}, workload)
    got = process.run(bind(parse(render(template, default(template))), op, workload), inputs)
    yield from zip(got.values(), want, strict=True)


def kernels() -> Iterator[Any]:
    """The first kernel of every op; `make test-slow` runs the others."""
    for name in OPS:
        for at, template in enumerate(for_op(name)):
            yield pytest.param(template, id=template.name, marks=[pytest.mark.slow] if at else [])


@pytest.mark.parametrize("template", list(kernels()))
def test_every_op_comes_out_right_on_an_emulated_mac(template: Template, process: Process) -> None:
    for array, right in outcomes(process, template, "float32"):
        np.testing.assert_allclose(array, right, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_sixteen_bit_types_are_rounded_as_they_are_here(dtype: str, process: Process) -> None:
    for array, right in outcomes(process, for_op("softmax")[0], dtype):
        np.testing.assert_allclose(array.astype(np.float64), right, rtol=1e-2, atol=1e-3)


ENDS = {
    "stack": (
        OUT_OF_STACK,
        "volatile float room[60000]; for (uint i = 0; i < 60000; ++i) room[i] = x[i & 63];"
        " threadgroup_barrier(mem_flags::mem_threadgroup);"
        " out[thread_position_in_grid.x] = room[thread_position_in_grid.x];",
    ),
    "address": (
        WILD,
        "out[thread_position_in_grid.x] = x[thread_position_in_grid.x + (1u << 30)];",
    ),
}


@pytest.mark.parametrize("how", ENDS)
def test_a_fault_ends_the_launch_and_the_next_one_runs(how: str, process: Process) -> None:
    """Twice: the second finds its handler's stack free again."""
    failure, body = ENDS[how]
    x, out = np.ones(64, np.float32), np.empty(64, np.float32)
    spec, outputs = TensorSpec("x", (64,), "float32"), (TensorSpec("out", (64,), "float32"),)
    bad = Launch("bad", ("x",), outputs, body, (64, 1, 1), (64, 1, 1))
    right = "uint i = thread_position_in_grid.x; out[i] = x[i] + simd_sum(x[i]);"
    good = Launch("good", ("x",), outputs, right, (64, 1, 1), (64, 1, 1))
    for launch, expected in ((bad, failure), (bad, failure), (good, 0)):
        captured = capture_launch(launch, [spec])
        assert process.launch(launch, captured, [x], [out]) == expected
    assert (out == 33.0).all()


def test_memory_is_asked_for_by_the_rules_of_macos(process: Process) -> None:
    assert {"_mmap", "_mprotect", "_sigaction", "_sigaltstack"} <= set(process.emulator.calls)
