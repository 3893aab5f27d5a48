"""Threads, barriers and cores: what the runtime promises whatever runs at the same time."""

from __future__ import annotations

import gc
import os
import threading

import numpy as np
import pytest
from numpy.typing import NDArray

from foundry.engines.base import Call
from foundry.engines.cpu import CpuEngine
from foundry.errors import LaunchFailed, UsageError
from foundry.msl.build.cache import default_directory
from foundry.msl.build.toolchain import find_toolchain
from foundry.msl.run.runtime import load_runtime
from foundry.program import BuildFailure, Launch, Program, Size3, TensorSpec

ROW_SUM = """
    threadgroup float part[32];
    uint row = threadgroup_position_in_grid.x, t = thread_position_in_threadgroup.x;
    part[t % 32] = 0;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    float sum = simd_sum(x[row * threads_per_threadgroup.x + t]);
    if (simd_is_first()) part[simdgroup_index_in_threadgroup] = sum;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    float total = 0;
    for (uint g = 0; g < simdgroups_per_threadgroup; g++) total += part[g];
    out[row * threads_per_threadgroup.x + t] = total;"""


def bound(
    source: str, x: NDArray[np.float32], grid: Size3, threadgroup: Size3, size: int | None = None,
    header: str = "",
) -> Call:  # fmt: skip
    out = (TensorSpec("out", (size or x.size,), "float32"),)
    launch = Launch("k", ("x",), out, source, grid, threadgroup, header=header)
    built = CpuEngine().build(Program((TensorSpec("x", x.shape, "float32"),), ("out",), (launch,)))
    assert not isinstance(built, BuildFailure), built.log
    return built.bind({"x": x}, poison=True)


def result(call: Call) -> list[float]:
    call()
    return list(call.outputs()["out"].tolist())


def row_sums(groups: int, threads: int, offset: int = 0) -> tuple[Call, list[float]]:
    x = (np.arange(groups * threads) % 97 + offset).astype(np.float32)
    expected = np.repeat(x.reshape(groups, threads).sum(1), threads)
    size = (groups * threads, 1, 1)
    return bound(ROW_SUM, x, size, (threads, 1, 1)), expected.tolist()


@pytest.mark.parametrize("threads", [1, 5, 31, 32, 33, 70, 256, 1000, 1024])
def test_threadgroups_of_any_size(threads: int) -> None:
    call, expected = row_sums(9, threads)
    assert result(call) == expected


def test_callers_on_several_threads_take_turns() -> None:
    work = [row_sums(64, size, offset) for offset, size in enumerate((32, 96, 512, 70))]
    wrong: list[int] = []

    def repeat(number: int) -> None:
        call, expected = work[number]
        for _ in range(30):
            if result(call) != expected:
                wrong.append(number)

    threads = [threading.Thread(target=repeat, args=(n,)) for n in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("cores", ["1", "2", "7"])
def test_any_number_of_cores_gives_the_same_result(
    cores: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOUNDRY_CPU_THREADS", cores)
    call, expected = row_sums(500, 96)
    for _ in range(5):
        assert result(call) == expected


def test_a_number_of_cores_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOUNDRY_CPU_THREADS", "all")
    with pytest.raises(UsageError, match="FOUNDRY_CPU_THREADS is a number of threads, not 'all'"):
        row_sums(2, 32)


def test_kernels_leave_memory_with_their_last_user() -> None:
    builds = str(default_directory())

    def mapped() -> int:
        with open("/proc/self/maps") as maps:
            return sum(".so" in line and builds in line for line in maps)

    def run(number: int) -> int:
        call = bound(f"out[0] = {number};", np.zeros(1, np.float32), (1, 1, 1), (1, 1, 1))
        assert result(call) == [number]
        return mapped()

    run(0)
    gc.collect()
    before = mapped()
    assert run(1) > before
    for number in range(2, 5):
        run(number)
    gc.collect()
    assert mapped() == before


def test_a_forked_process_runs_kernels_too() -> None:
    call, expected = row_sums(500, 96)
    assert result(call) == expected
    child = os.fork()
    if child == 0:
        os._exit(0 if result(call) == expected else 3)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_a_threadgroup_may_wait_for_an_earlier_one() -> None:
    source = """
        uint g = threadgroup_position_in_grid.x;
        device atomic_int* flag = (device atomic_int*)out;
        threadgroup_barrier(mem_flags::mem_none);
        if (thread_position_in_threadgroup.x == 0) {
            int before = 0;
            if (g > 0)
                do before = atomic_load_explicit(&flag[g - 1], memory_order_relaxed);
                while (before == -1);
            atomic_store_explicit(&flag[g], before + int(x[g]), memory_order_relaxed);
        }"""
    x = np.arange(2000, dtype=np.float32)
    call = bound(source, x, (64000, 1, 1), (32, 1, 1))
    call()
    got = call.outputs()["out"].view(np.int32)
    assert got.tolist() == np.cumsum(np.arange(2000)).tolist()


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("if (t < 16) threadgroup_barrier(mem_flags::mem_none);",
         "reached by 16 of 64 threads of threadgroup (0, 0, 0): the others have returned"),
        ("if (t == 5) return; threadgroup_barrier(mem_flags::mem_none);",
         "reached by 63 of 64 threads"),
        ("if (t < 40) threadgroup_barrier(mem_flags::mem_none);"
         " else threadgroup_barrier(mem_flags::mem_none);", "wait at different barriers"),
        ("for (uint k = 0; k <= t / 32; k++) threadgroup_barrier(mem_flags::mem_none);",
         "reached by 32 of 64 threads"),
        ("if (t < 32) threadgroup_barrier(mem_flags::mem_none);"
         " float s = simd_sum(1.0f); if (s > 99) out[0] = s;", "reached by 32 of 64 threads"),
    ],
)  # fmt: skip
def test_a_deadlock_is_an_error_and_the_next_launch_is_sound(source: str, sentence: str) -> None:
    stuck = bound(
        f"uint t = thread_position_in_threadgroup.x; {source} out[t] = 1;",
        np.zeros(64, np.float32), (64, 1, 1), (64, 1, 1),
    )  # fmt: skip
    call, expected = row_sums(20, 64)
    for _ in range(3):
        with pytest.raises(LaunchFailed) as caught:
            stuck()
        assert sentence in str(caught.value)
        assert result(call) == expected


@pytest.mark.parametrize(
    "source",
    [
        "for (uint k = 0; k < 3; k++) { threadgroup_barrier(mem_flags::mem_none); }",
        "if (x[0] == 0) threadgroup_barrier(mem_flags::mem_none);"
        " else { threadgroup_barrier(mem_flags::mem_none); }",
        "for (uint k = 0; k < 4; k++) { if (k % 2) threadgroup_barrier(mem_flags::mem_none);"
        " else threadgroup_barrier(mem_flags::mem_none); }",
        "wait(); wait();",
        "TWICE",
    ],
)
def test_barriers_that_all_threads_reach_are_no_error(source: str) -> None:
    header = (
        "inline void wait() { threadgroup_barrier(mem_flags::mem_none); }\n"
        "#define TWICE for (int k = 0; k < 2; k++) threadgroup_barrier(mem_flags::mem_none);\n"
    )
    call = bound(
        f"{source} out[thread_position_in_grid.x] = 1;", np.zeros(96, np.float32), (96, 1, 1),
        (96, 1, 1), header=header,
    )  # fmt: skip
    assert result(call) == [1] * 96


def test_storages_lie_apart_and_aligned() -> None:
    source = """
        threadgroup uchar a[3];
        threadgroup float4 b[2], c;
        threadgroup half d[5];
        uint t = thread_position_in_threadgroup.x;
        if (t == 0) {
            for (int i = 0; i < 3; i++) a[i] = 1;
            b[0] = 2; b[1] = 3; c = 4;
            for (int i = 0; i < 5; i++) d[i] = 5;
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
        out[t] = t < 3 ? float(a[t]) : t < 5 ? b[t - 3].w : t < 6 ? c.x : float(d[t - 6]);
        if (((ulong)&b & 15) || ((ulong)&c & 15)) out[t] = -1;"""
    call = bound(source, np.zeros(11, np.float32), (11, 1, 1), (11, 1, 1))
    assert result(call) == [1, 1, 1, 2, 3, 4, 5, 5, 5, 5, 5]


def test_threads_have_room_for_arrays_of_their_own() -> None:
    source = """
        float mine[8000];
        uint t = thread_position_in_grid.x;
        for (int i = 0; i < 8000; i++) mine[i] = i + t;
        threadgroup_barrier(mem_flags::mem_none);
        float sum = 0;
        for (int i = 0; i < 8000; i += 1000) sum += mine[(i + int(x[0])) % 8000];
        out[t] = sum;"""
    call = bound(source, np.zeros(256, np.float32), (256, 1, 1), (256, 1, 1))
    assert result(call) == [28000 + 8 * t for t in range(256)]


def test_a_stack_that_overflows_ends_the_launch() -> None:
    header = (
        "float deep(const device float* x, int n) { volatile float a[64]; a[n % 64] = x[0];"
        " return n ? deep(x, n - 1) + a[n % 64] : 0; }\n"
    )
    source = "threadgroup_barrier(mem_flags::mem_none); out[0] = deep(x, 1 << 20);"
    x, out = TensorSpec("x", (32,), "float32"), TensorSpec("out", (32,), "float32")
    launch = Launch("k", ("x",), (out,), source, (32, 1, 1), (32, 1, 1), header=header)
    built = CpuEngine().build(Program((x,), ("out",), (launch,)))
    assert not isinstance(built, BuildFailure)
    with pytest.raises(LaunchFailed, match="uses more stack than there is"):
        built.bind({"x": np.zeros(32, np.float32)})()


def test_launches_from_many_small_to_large() -> None:
    for size in (1, 2, 31, 4095, 4096, 4097, 100_003):
        x = np.arange(size, dtype=np.float32)
        call = bound(
            "uint i = thread_position_in_grid.x; out[i] = x[i] + 1;", x, (size, 1, 1), (128, 1, 1)
        )
        assert result(call) == (x + 1).tolist()


@pytest.mark.parametrize(
    "declaration",
    [
        "threadgroup struct { float value; uint lane; } s[40];",
        "threadgroup struct Pair { float value; uint lane; } s[40]; thread Pair own; (void)own;",
        "threadgroup struct Pair { float value; uint lane; } s[40], other[2]; (void)other;",
        "struct Pair { float value; uint lane; }; threadgroup struct Pair s[40];",
        "threadgroup union { float value; uint lane; } s[40];",
    ],
)
def test_threadgroup_variables_of_a_type_defined_with_them_are_shared(declaration: str) -> None:
    source = f"""
        uint t = thread_position_in_threadgroup.x;
        {declaration}
        s[t].value = x[t];
        threadgroup_barrier(mem_flags::mem_threadgroup);
        out[t] = s[39 - t].value;"""
    x = np.arange(40, dtype=np.float32)
    assert result(bound(source, x, (40, 1, 1), (40, 1, 1))) == x[::-1].tolist()


KEPT = """
    uint t = thread_position_in_threadgroup.x;
    float kept[512];
    threadgroup float shared[64];
    {barrier}
    if (x[t] != 0) {{
      for (uint i = 0; i < 512; ++i) kept[i] = x[t];
      shared[t] = x[t];
    }}
    float sum = 0;
    for (uint i = 0; i < 512; ++i) sum += kept[i] == 7.0f;
    {barrier}
    out[t] = sum + float(shared[t] == 7.0f);"""


@pytest.mark.parametrize("barrier", ["", "threadgroup_barrier(mem_flags::mem_threadgroup);"])
def test_locals_and_threadgroup_memory_keep_nothing(barrier: str) -> None:
    x = np.full(64, 7, np.float32)
    call = bound(KEPT.format(barrier=barrier), x, (64, 1, 1), (64, 1, 1))
    assert result(call) == [513.0] * 64
    call.inputs()["x"][...] = 0
    assert result(call) == [0.0] * 64


def test_a_kernel_runs_after_the_runtime_forgot_what_stacks_held() -> None:
    call, expected = row_sums(9, 70)
    for _ in range(3):
        assert result(call) == expected
        load_runtime(find_toolchain(default_directory()).runtime()).mf_forget()


TICKETS = """
    uint i = thread_position_in_grid.x;
    uint ticket = atomic_fetch_add_explicit((device atomic_uint*)&out[n], 1u, memory_order_relaxed);
    out[i] = ticket;"""


@pytest.mark.parametrize("source", ["", "threadgroup_barrier(mem_flags::mem_none);"])
@pytest.mark.parametrize("groups", [1, 2, 7, 96])
def test_threadgroups_begin_in_every_order_asked_for(source: str, groups: int) -> None:
    count = 32 * groups
    out = TensorSpec("out", (count + 1,), "uint32")
    body = source + TICKETS.replace("out[n]", f"out[{count}]")
    size, group = (count, 1, 1), (32, 1, 1)
    launch = Launch("k", (), (out,), body, size, group, init_value=0.0)
    built = CpuEngine().build(Program((), ("out",), (launch,)))
    assert not isinstance(built, BuildFailure), built.log
    call = built.bind({})
    seen = set()
    for order in (1, 2, 3):
        call._threads = 1
        call.run_in(order)
        tickets = call.outputs()["out"][:-1]
        assert sorted(tickets.tolist()) == list(range(count))
        firsts = tickets.reshape(groups, 32).min(axis=1)
        seen.add(tuple(firsts.tolist()))
        if order == 1:
            assert firsts.tolist() == list(range(count - 32, -1, -32))
    call()
    firsts = call.outputs()["out"][:-1].reshape(groups, 32).min(axis=1)
    assert firsts.tolist() == list(range(0, count, 32))
    assert len(seen) == (3 if groups > 7 else len(seen))
