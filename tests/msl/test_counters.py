"""What is counted is exact: known patterns, and strides and gathers against a NumPy model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from foundry.errors import LaunchFailed
from foundry.msl.counters import Counters, Traffic, count, counters_from
from foundry.msl.sanitizer import sanitize
from foundry.program import Launch, Program, TensorSpec
from ops.dtypes import numpy_dtype

HEAD = "uint i = thread_position_in_grid.x, t = thread_position_in_threadgroup.x;\n"
BARRIER = "threadgroup_barrier(mem_flags::mem_threadgroup);\n"


def counted(
    body: str,
    *,
    threads: int = 64,
    group: int = 64,
    size: int = 4096,
    dtype: str = "float32",
    inputs: dict[str, NDArray[Any]] | None = None,
    threadgroups: int = 64,
    **launch: Any,
) -> Counters:
    """The counters of a kernel over `x` (0, 1, 2, ...) and further inputs, writing `out`."""
    arrays = {"x": np.arange(size).astype(numpy_dtype(dtype)), **(inputs or {})}
    specs = tuple(TensorSpec(n, a.shape, str(a.dtype)) for n, a in arrays.items())
    out = TensorSpec("out", (size,), dtype)
    names = tuple(arrays)
    one = Launch("k", names, (out,), HEAD + body, (threads, 1, 1), (group, 1, 1), **launch)
    return count(Program(specs, ("out",), (one,)), arrays, threadgroups=threadgroups)


def lines_of(offsets: NDArray[np.int64], size: int) -> Traffic:
    """Traffic of an instruction per row of byte offsets, one a lane; -1: the lane skips it."""
    instructions = accesses = transactions = ideal = worst = 0
    for row in offsets.reshape(-1, 32):
        lanes = row[row >= 0]
        if not len(lanes):
            continue
        touched = {int(o) + b for o in lanes for b in range(size)}
        lines = len({byte // 128 for byte in touched})
        instructions, accesses = instructions + 1, accesses + len(lanes)
        transactions, worst = transactions + lines, max(worst, lines)
        ideal += -(-len(touched) // 128)
    return Traffic(instructions, accesses, accesses * size, transactions, ideal, worst)


PATTERNS: dict[str, tuple[str, int, tuple[float, float], tuple[float, float]]] = {
    # body, bytes of an element; per SIMD-group load of x: transactions, ideal; store of out
    "unit stride": ("out[i] = x[i];", 4, (1, 1), (1, 1)),
    "unit stride, one float off": ("out[i] = x[i + 1];", 4, (2, 1), (1, 1)),
    "stride 2": ("out[i] = x[2 * i];", 4, (2, 1), (1, 1)),
    "stride 32": ("out[32 * i] = x[32 * i];", 4, (32, 1), (32, 1)),
    "broadcast": ("out[i] = x[i / 32];", 4, (1, 1), (1, 1)),
    "backwards": ("out[i] = x[63 - i];", 4, (1, 1), (1, 1)),
    "float4": (
        "((device float4*)out)[i] = ((const device float4*)x)[i];",
        16,
        (4, 4),
        (4, 4),
    ),
    "one float of each float4": (
        "out[i] = ((const device float4*)x)[i].y;",
        4,
        (4, 1),
        (1, 1),
    ),
    "packed_float3": (
        "out[i] = ((const device packed_float3*)x)[i][0] + ((const device packed_float3*)x)[i][2];",
        4,
        (3, 1),
        (1, 1),
    ),
}


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_costs_what_it_must(name: str) -> None:
    body, _, load, store = PATTERNS[name]
    counters = counted(body)
    x, out = counters.array("x").loads, counters.array("out").stores
    assert (x.per_instruction, x.ideal_per_instruction) == load
    assert (out.per_instruction, out.ideal_per_instruction) == store
    assert x.instructions % 2 == out.instructions % 2 == 0
    assert not counters.is_estimate


def test_half_takes_half_a_line() -> None:
    counters = counted("out[i] = x[i];", dtype="float16")
    assert counters.array("x").loads == Traffic(2, 64, 128, 2, 2, 1)


def test_a_load_that_the_compiler_merges_is_one() -> None:
    counters = counted("out[i] = x[i] * x[i] + x[i];")
    assert counters.array("x").loads.instructions == 2


@settings(max_examples=60)
@given(
    stride=st.integers(0, 70),
    start=st.integers(0, 40),
    threads=st.integers(1, 100),
    group=st.integers(1, 100),
)
def test_strides_agree_with_numpy(stride: int, start: int, threads: int, group: int) -> None:
    numbers = np.array([stride, start], np.int32)
    counters = counted(
        "out[i] = x[i * rule[0] + rule[1]];",
        threads=threads,
        group=group,
        size=8192,
        inputs={"rule": numbers},
        threadgroups=1000,
    )
    assert counters.array("x").loads == lines_of(
        _grid(threads, group, lambda i: (i * stride + start) * 4), 4
    )
    assert counters.array("out").stores == lines_of(_grid(threads, group, lambda i: i * 4), 4)


@settings(max_examples=30)
@given(st.lists(st.integers(0, 500), min_size=96, max_size=96))
def test_gathers_agree_with_numpy(places: list[int]) -> None:
    """Numbers over 400 are lanes that skip the load."""
    where = np.array(places, np.int32)
    counters = counted(
        "if (where[i] <= 400) out[i] = x[where[i]];",
        threads=96,
        group=32,
        inputs={"where": where},
    )
    offsets = np.where(where <= 400, where.astype(np.int64) * 4, -1)
    assert counters.array("x").loads == lines_of(offsets, 4)
    kept = np.where(where <= 400, np.arange(96) * 4, -1)
    assert counters.array("out").stores == lines_of(kept, 4)


def _grid(
    threads: int, group: int, offset: Callable[[NDArray[np.int64]], NDArray[np.int64]]
) -> NDArray[np.int64]:
    """Offsets of all threads, 32 a SIMD-group, -1 for lanes that do not exist."""
    rows = []
    for first in range(0, threads, group):
        index = np.arange(first, min(first + group, threads), dtype=np.int64)
        rows.append(np.pad(offset(index), (0, -len(index) % 32), constant_values=-1))
    return np.concatenate(rows)


BANKS: dict[str, tuple[str, tuple[float, float, int]]] = {
    # element that thread t reads of a threadgroup array: average degree, ideal, worst
    "neighbours": ("s[t]", (1, 1, 1)),
    "one word for all": ("s[0]", (1, 1, 1)),
    "stride 2": ("s[2 * t]", (2, 1, 2)),
    "stride 32": ("s[(32 * t) % 2048]", (32, 1, 32)),
    "stride 33": ("s[(33 * t) % 2048]", (1, 1, 1)),
    "half as one word": ("((threadgroup half*)s)[t]", (1, 1, 1)),
    "one float of each float4": ("((threadgroup float4*)s)[t].y", (4, 1, 4)),
}


@pytest.mark.parametrize("name", BANKS)
def test_bank_conflicts(name: str) -> None:
    element, (average, ideal, worst) = BANKS[name]
    counters = counted(
        "threadgroup float s[2048];\n"
        "for (uint k = t; k < 2048; k += 64) s[k] = x[k];\n" + BARRIER + f"out[i] = {element};"
    )
    loads = counters.array("s").loads
    assert (loads.per_instruction, loads.ideal_per_instruction, loads.worst_transactions) == (
        average,
        ideal,
        worst,
    )
    assert counters.array("s").stores == Traffic(64, 2048, 8192, 64, 64, 1)
    assert counters.barriers == 1


def test_a_whole_float4_takes_four_passes_without_a_conflict() -> None:
    counters = counted(
        "threadgroup float4 s[64];\ns[t] = ((const device float4*)x)[t];\n"
        + BARRIER
        + "((device float4*)out)[i] = s[63 - t];"
    )
    assert counters.array("s").loads == Traffic(2, 64, 1024, 8, 8, 4)


@pytest.mark.parametrize(("padding", "degree"), [(0, 32), (1, 1)])
def test_a_transposed_tile_wants_padding(padding: int, degree: int) -> None:
    body = f"""
threadgroup float tile[32][32 + {padding}];
for (uint r = 0; r < 32; ++r) tile[r][t] = x[32 * r + t];
{BARRIER}
for (uint r = 0; r < 32; ++r) out[32 * r + t] = tile[t][r];"""
    tile = counted(body, threads=32, group=32).array("tile")
    assert tile.stores == Traffic(32, 1024, 4096, 32, 32, 1)
    assert tile.loads == Traffic(32, 1024, 4096, 32 * degree, 32, degree)


def test_lanes_that_skip_iterations_share_those_they_do_not() -> None:
    """Thread i runs i turns and loads in every third: one instruction for each such turn."""
    counters = counted(
        "float v = 0; for (uint k = 0; k < i; ++k) if (k % 3 == 0) v += x[k];out[i] = v;"
    )
    loads = counters.array("x").loads
    assert loads.instructions == 11 + 21
    assert loads.accesses == sum(-(-i // 3) for i in range(64))
    assert loads.transactions == 32


def test_lanes_are_aligned_by_the_turn_and_not_by_how_often_they_were_there() -> None:
    """Each turn another third of the lanes loads, all of them the same float."""
    counters = counted(
        "float v = 0; for (uint k = 0; k < 30; ++k) if ((k + i) % 3 == 0) v += x[64 * k];"
        " out[i] = v;"
    )
    assert counters.array("x").loads == Traffic(60, 64 * 10, 64 * 10 * 4, 60, 60, 1)


def test_both_arms_of_a_branch_count() -> None:
    counters = counted("if (i % 2) out[i] = x[i]; else out[i] = x[i + 1024] * 2;")
    assert counters.array("x").loads == Traffic(4, 64, 256, 4, 4, 1)


def test_a_branch_that_a_whole_simdgroup_takes_costs_the_other_nothing() -> None:
    counters = counted("if (i < 32) out[i] = x[i]; else out[i] = x[32 * i];")
    assert counters.array("x").loads == Traffic(2, 64, 256, 33, 2, 32)


def test_lanes_meet_again_after_a_loop_of_different_lengths() -> None:
    counters = counted(
        "float v = 0; for (uint k = 0; k < i % 7; ++k) v += x[k * 64]; out[i] = v + x[i];"
    )
    loads = counters.array("x").loads
    assert loads.instructions == 2 * (6 + 1)
    assert counters.array("out").stores == Traffic(2, 64, 256, 2, 2, 1)


def test_nested_loops_are_aligned_turn_by_turn() -> None:
    body = """float v = 0;
for (uint a = 0; a < 4; ++a)
  for (uint b = 0; b < 1 + (i + a) % 5; ++b) v += x[a * 64 + b * 4 + 1024 * (i % 2)];
out[i] = v;"""
    assert counted(body).array("x").loads.instructions == 2 * 4 * 5


def test_functions_that_are_not_inlined_are_told_apart_by_their_calls() -> None:
    header = """__attribute__((noinline)) float pick(const device float* p, uint i) {
  return p[i];
}"""
    counters = counted(
        "float v = 0; if (i % 2) v = pick(x, i); v += pick(x, i + 64); out[i] = v;", header=header
    )
    x = counters.array("x").loads
    assert (x.instructions, x.accesses) == (4, 96)
    line = counters.hottest(1)[0]
    assert (line.part, line.line, line.text) == ("header", 2, "return p[i];")


def test_divergent_lanes_meet_at_collectives() -> None:
    """Odd lanes shuffle among themselves; all load together before and after."""
    body = """float v = x[i];
if (i % 2) v += simd_sum(x[i + 64]);
v += simd_sum(v) + x[i + 128];
out[i] = v;"""
    counters = counted(body)
    assert counters.array("x").loads == Traffic(6, 160, 640, 6, 6, 1)
    assert counters.collectives == 4


def test_long_loops_do_not_fill_the_buffers() -> None:
    """Each lane makes far more events than a buffer holds, and each another number."""
    counters = counted(
        "float v = 0; for (uint k = 0; k < 3000 + i; ++k) v += x[k]; out[i] = v;",
        threads=40,
        group=40,
    )
    loads = counters.array("x").loads
    assert loads.instructions == 3031 + 3039
    assert loads.accesses == sum(3000 + i for i in range(40))
    assert loads.transactions == loads.instructions


def test_collectives_and_barriers() -> None:
    body = f"""float v = simd_sum(x[i]);
v += simd_shuffle_xor(v, 1);
threadgroup float s[64];
s[t] = v;
simdgroup_barrier(mem_flags::mem_threadgroup);
v += s[t ^ 1];
{BARRIER}{BARRIER}
out[i] = v;"""
    counters = counted(body, threads=150, group=64, threadgroups=10)
    assert counters.launches[0].simdgroups == 2 + 2 + 1
    assert counters.collectives == 2 * 5
    assert counters.simdgroup_barriers == 5
    assert counters.barriers == 2 * 3


def test_atomics_and_their_contention() -> None:
    body = "atomic_fetch_add_explicit(&out[i % 4], x[i], memory_order_relaxed);"
    counters = counted(body, atomic_outputs=True, init_value=0)
    atomics = counters.array("out").atomics
    assert counters.atomics == 64
    assert atomics == Traffic(2, 64, 256, 2, 2, 8)
    assert "up to 8 lanes at one address" in next(
        line.sentence for line in counters.hottest(3) if line.access == "atomic"
    )


def test_constants_are_no_device_memory() -> None:
    counters = counted(
        "out[i] = x[i] + table[i % 4] + x_shape[0];", inputs={"table": np.ones(4, np.float32)}
    )
    assert counters.array("table").space == counters.array("x_shape").space == "constant"
    assert counters.loads == counters.array("x").loads


def test_a_pointer_to_one_of_two_arrays_is_two_transactions() -> None:
    other = np.ones(4096, np.float32)
    counters = counted(
        "const device float* p = i % 2 ? x : other; out[i] = p[i];", inputs={"other": other}
    )
    assert (
        counters.array("x").loads == counters.array("other").loads == Traffic(2, 32, 128, 2, 2, 1)
    )


def test_the_hottest_line_says_what_would_do() -> None:
    counters = counted("float v = x[i];\nv += x[(32 * i) % 4096];\nout[i] = v;")
    line = counters.hottest(1)[0]
    assert (line.part, line.line, line.text) == ("source", 3, "v += x[(32 * i) % 4096];")
    assert line.sentence == "32 transactions per SIMD-group load of x where 1 would do"


def test_a_second_launch_reads_what_the_whole_first_one_wrote() -> None:
    """Its addresses come from the first launch, of which only a sample was counted."""
    x = TensorSpec("x", (4096,), "float32")
    middle, out = TensorSpec("middle", (4096,), "int32"), TensorSpec("out", (4096,), "float32")
    first = Launch(
        "a", ("x",), (middle,), HEAD + "middle[i] = int(x[i]) * 2 % 4096;", (4096, 1, 1), (32, 1, 1)
    )
    second = Launch(
        "b", ("x", "middle"), (out,), HEAD + "out[i] = x[middle[i]];", (4096, 1, 1), (32, 1, 1)
    )
    program = Program((x,), ("out",), (first, second))
    counters = count(program, {"x": np.arange(4096, dtype=np.float32)}, threadgroups=16)
    assert [s.counted_threadgroups for s in counters.launches] == [16, 16]
    assert counters.launches[1].arrays[0].loads == Traffic(128, 4096, 16384, 256, 128, 2)
    assert counters.array("middle").stores.bytes == 16384


def test_a_sample_is_scaled_to_all_threads() -> None:
    counters = counted("out[i] = x[i];", threads=4000, group=32, threadgroups=10)
    stage = counters.launches[0]
    assert (stage.counted_threadgroups, stage.threadgroups) == (10, 125)
    assert counters.is_estimate
    assert counters.array("x").loads == Traffic(125, 4000, 16000, 125, 125, 1)


def test_documents_come_back_equal() -> None:
    counters = counted("threadgroup float s[64]; s[t] = x[i];" + BARRIER + "out[i] = s[63 - t];")
    assert counters_from(counters.document()) == counters


def test_no_threads() -> None:
    counters = counted("out[i] = x[i];", threads=0, size=0)
    assert counters.loads == Traffic()
    assert counters.launches[0].threadgroups == 0


def test_what_cannot_be_counted_says_why() -> None:
    with pytest.raises(LaunchFailed, match="undeclared identifier 'y'"):
        counted("out[i] = y[i];")
    with pytest.raises(LaunchFailed, match="barrier is not reached"):
        counted(f"if (t < 3) {{ {BARRIER} }} out[i] = x[i];")


def test_a_sanitised_program_is_counted_when_asked() -> None:
    x, out = TensorSpec("x", (64,), "float32"), TensorSpec("out", (64,), "float32")
    body = "uint i = thread_position_in_grid.x; out[i] = x[(2 * i) % 64];"
    launch = Launch("k", ("x",), (out,), body, (64, 1, 1), (64, 1, 1))
    program = Program((x,), ("out",), (launch,))
    report = sanitize(program, {"x": np.zeros(64, np.float32)})
    assert report.counters.loads.per_instruction == 2
    assert report.counters is report.counters
    beyond = dataclasses.replace(launch, source=body.replace("% 64", "+ 1"))
    condemned = sanitize(
        dataclasses.replace(program, launches=(beyond,)), {"x": np.zeros(64, np.float32)}
    )
    with pytest.raises(LaunchFailed, match="not counted"):
        _ = condemned.counters


@pytest.mark.parametrize(("transposed", "instructions"), [("false", 1), ("true", 2)])
def test_a_matrix_is_loaded_in_pairs_of_neighbours(transposed: str, instructions: int) -> None:
    """Eight rows of 8 floats, 64 apart: a line each."""
    body = f"""simdgroup_float8x8 m;
simdgroup_load(m, x, 64, ulong2(0, 0), {transposed});
simdgroup_store(m, out, 64);"""
    counters = counted(body, threads=32, group=32)
    loads = counters.array("x").loads
    assert (loads.instructions, loads.accesses) == (instructions, 32 * instructions)
    assert loads.transactions == 8
    assert counters.array("out").stores == Traffic(1, 32, 256, 8, 2, 8)
