"""Kernels cross-built for a Mac, run: every op's, the sanitizer's, and those that end badly."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emulated import Process
from emulated_counters import CountingProcess, Counts
from emulated_sanitizer import Found, SanitizedProcess

from foundry.judge.oracle.inputs import make_inputs
from foundry.kernel import parse
from foundry.kernel.binding import bind
from foundry.msl.build.target import BuildTarget
from foundry.msl.build.toolchain import Toolchain, find_toolchain
from foundry.msl.counters import toolchain as counters
from foundry.msl.counters.instrument import Kind
from foundry.msl.counters.model import DEVICE, THREADGROUP
from foundry.msl.counters.native import CounterState
from foundry.msl.counters.run import count
from foundry.msl.frontend.signature import capture_launch
from foundry.msl.gpu import toolchain as gpu
from foundry.msl.gpu.run import profile
from foundry.msl.run.builder import Builder
from foundry.program import Arrays, Launch, Program, TensorSpec
from ops import get
from ops.dtypes import numpy_dtype
from templates import Template, default, for_op, render

OUT_OF_STACK, WILD = 7, 6


@pytest.fixture(scope="module")
def mac(tmp_path_factory: pytest.TempPathFactory) -> Toolchain:
    return find_toolchain(
        tmp_path_factory.mktemp("cache"), BuildTarget("darwin", "arm64", is_native=False)
    )


@pytest.fixture(scope="module")
def process(mac: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Process:
    return Process(Builder(mac), mac.runtime(), tmp_path_factory.mktemp("kernels"))


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


# No function of these has more variables than may be; all three together have.
DEEP = "".join(
    f"""
__attribute__((noinline)) float {name}(device const float* x, uint i) {{
  volatile float room[25000];
  for (uint k = 0; k < 25000; ++k) room[k] = x[k & 63];
  return room[i] + {called};
}}
"""
    for name, called in (("last", "0.0f"), ("second", "last(x, i)"), ("deep", "second(x, i)"))
)
ENDS = {
    "stack": (
        OUT_OF_STACK,
        "threadgroup_barrier(mem_flags::mem_threadgroup);"
        " out[thread_position_in_grid.x] = deep(x, thread_position_in_grid.x);",
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
    bad = Launch("bad", ("x",), outputs, body, (64, 1, 1), (64, 1, 1), DEEP)
    right = "uint i = thread_position_in_grid.x; out[i] = x[i] + simd_sum(x[i]);"
    good = Launch("good", ("x",), outputs, right, (64, 1, 1), (64, 1, 1))
    for launch, expected in ((bad, failure), (bad, failure), (good, 0)):
        captured = capture_launch(launch, [spec])
        assert process.launch(launch, captured, [x], [out]) == expected
    assert (out == 33.0).all()


def test_memory_is_asked_for_by_the_rules_of_macos(process: Process) -> None:
    assert {"_mmap", "_mprotect", "_sigaction", "_sigaltstack"} <= set(process.emulator.calls)


@pytest.fixture(scope="module")
def sanitized(mac: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> SanitizedProcess:
    return SanitizedProcess(mac, tmp_path_factory.mktemp("sanitized"))


@pytest.mark.parametrize("template", list(kernels()))
def test_the_sanitizer_finds_nothing_in_what_is_right(
    template: Template, sanitized: SanitizedProcess
) -> None:
    for array, right in outcomes(sanitized, template, "float32"):
        np.testing.assert_allclose(array, right, rtol=2e-4, atol=2e-5)


HERE = "uint i = thread_position_in_grid.x;\n"
PLANTED = {
    "past the end of an input": (1, 2, HERE + "out[i] = x[i + 1];"),
    "past the end of an output": (1, 2, HERE + "out[i + 1] = x[i];\nout[i] = x[i];"),
    "a race between threads": (3, 2, HERE + "out[i / 2] = x[i];"),
    "threadgroup memory that nobody set": (
        2,
        4,
        HERE + "threadgroup float t[64];\nif (i > 3) t[i] = x[i];\n"
        "threadgroup_barrier(mem_flags::mem_threadgroup); out[i] = t[i];",
    ),
    "past the end of an array": (
        7,
        3,
        HERE + "threadgroup float t[64]; t[i] = x[i];\n"
        "threadgroup_barrier(mem_flags::mem_threadgroup); out[i] = t[i + 1];",
    ),
    "a barrier that some threads miss": (
        4,
        2,
        HERE + "if (i < 8) threadgroup_barrier(mem_flags::mem_threadgroup);\nout[i] = x[i];",
    ),
    "more stack than there is": (
        9,
        1,
        "threadgroup_barrier(mem_flags::mem_threadgroup);\n"
        "volatile float room[60000]; for (uint i = 0; i < 60000; ++i) room[i] = x[i & 63];"
        " out[thread_position_in_grid.x] = room[thread_position_in_grid.x];",
    ),
    "an address of nobody's": (8, 2, HERE + "out[i] = *(device float*)(16ull + i);"),
    "a local variable that nobody set": (15, 2, HERE + "float v; if (i > 3) v = x[i]; out[i] = v;"),
}
"""The number of the finding, its line, and a body."""


@pytest.mark.parametrize("what", PLANTED)
def test_the_sanitizer_tells_kind_and_line_on_an_emulated_mac(
    what: str, sanitized: SanitizedProcess
) -> None:
    kind, line, body = PLANTED[what]
    x, out = np.arange(64, dtype=np.float32), np.empty(64, np.float32)
    spec, outputs = TensorSpec("x", (64,), "float32"), (TensorSpec("out", (64,), "float32"),)
    launch = Launch("bad", ("x",), outputs, body, (64, 1, 1), (64, 1, 1))
    for _ in range(2):  # a handler's stack is free again
        found = sanitized.examine(launch, capture_launch(launch, [spec]), [x], [out])
        assert Found(kind, line) in found, found


FILLS = {
    "_memset": (7, np.array([7], np.uint8)),
    "_bzero": (None, np.array([0], np.uint8)),
    "___bzero": (None, np.array([0], np.uint8)),
    "_memset_pattern4": (4, np.arange(1, 5, dtype=np.uint8)),
    "_memset_pattern8": (8, np.arange(1, 9, dtype=np.uint8)),
    "_memset_pattern16": (16, np.arange(1, 17, dtype=np.uint8)),
}
"""What the compiler calls to fill memory, and with what."""


@pytest.mark.parametrize("name", FILLS)
def test_what_fills_memory_on_a_mac_comes_to_an_end(name: str, process: Process) -> None:
    value, pattern = FILLS[name]
    emulator = process.emulator
    for size in (0, 1, 15, 16, 17, 100, 5000):
        at = emulator.allocate(size + 2)
        emulator.write(at, b"\xaa" * (size + 2))
        given = emulator.allocate(16) if value == len(pattern) else value
        if given is not value:
            emulator.write(given, pattern.tobytes())
        rest = (size,) if given is None else (given, size)
        emulator.call(emulator.symbols[name], at + 1, *rest)
        wanted = np.resize(pattern, size).tobytes()
        assert emulator.read(at, size + 2) == b"\xaa" + wanted + b"\xaa"


@pytest.fixture(scope="module")
def counting(mac: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> CountingProcess:
    return CountingProcess(counters.builder_on(mac), tmp_path_factory.mktemp("counted"))


FIELDS = {
    "instructions": "instructions",
    "accesses": "accesses",
    "bytes": "bytes",
    "units": "transactions",
    "ideal": "ideal_transactions",
}


def small(template: Template) -> tuple[Program, Arrays]:
    """A kernel on a small workload."""
    op = get(template.op)
    workload = op.workloads("visible", "float32")[1]
    program = bind(parse(render(template, default(template))), op, workload)
    return program, make_inputs(op, workload, "normal", 3)


def counted(
    process: CountingProcess, program: Program, inputs: Arrays
) -> tuple[Counts, CounterState]:
    """What the first launch of a program does on the emulated Mac."""
    launch, specs = program.launches[0], {spec.name: spec for spec in program.inputs}
    arrays = [np.ascontiguousarray(inputs[name]) for name in launch.inputs]
    outputs = [np.zeros(s.shape, numpy_dtype(s.dtype)) for s in launch.outputs]
    captured = capture_launch(launch, [specs[name] for name in launch.inputs])
    return process.count(launch, captured, arrays, outputs)


@pytest.mark.parametrize("template", list(kernels()))
def test_a_mac_counts_what_this_machine_counts(
    template: Template, counting: CountingProcess
) -> None:
    program, inputs = small(template)
    wanted = count(program, inputs, threadgroups=1 << 20).launches[0]
    found, state = counted(counting, program, inputs)
    assert (state.threadgroups, state.threads) == (wanted.threadgroups, wanted.threads)
    assert (state.groups, state.barriers) == (wanted.simdgroups, wanted.barriers)
    for number, array in enumerate(a for a in wanted.arrays if a.space != THREADGROUP):
        for kind, traffic in ((Kind.LOAD, array.loads), (Kind.STORE, array.stores)):
            for field, name in FIELDS.items():
                assert found[kind, number, field] == getattr(traffic, name), (array.name, name)


@pytest.mark.parametrize(
    "name",
    ["softmax", *(pytest.param(op, marks=pytest.mark.slow) for op in OPS if op != "softmax")],
)
def test_what_was_built_as_for_a_gpu_runs_on_an_emulated_mac(
    name: str, mac: Toolchain, tmp_path: Path
) -> None:
    program, inputs = small(for_op(name)[0])
    wanted = profile(program, inputs).launches[0]
    process = CountingProcess(gpu.builder_on(mac), tmp_path)
    blocks = process.emulator.call(process.emulator.symbols["_mf_count_blocks"])
    process.emulator.write(blocks + 8, struct.pack("<Q", process.emulator.allocate(1 << 16)))
    found, state = counted(process, program, inputs)
    assert (state.threadgroups, state.threads) == (
        wanted.threadgroups,
        wanted.threadgroups * wanted.threads,
    )
    # A profile tells of arrays in device memory alone: small ones and parameters are elsewhere.
    arrays = count(program, inputs, threadgroups=1).launches[0].arrays
    bound = [array for array in arrays if array.space != THREADGROUP]
    numbers = [number for number, array in enumerate(bound) if array.space == DEVICE]
    for kind, all_wanted in ((Kind.LOAD, wanted.loads), (Kind.STORE, wanted.stores)):
        for number, reuse in zip(numbers, all_wanted, strict=True):
            assert found[kind, number, "instructions"] == reuse.instructions
