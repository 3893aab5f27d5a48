"""What a compiled kernel would keep from launch to launch."""

from __future__ import annotations

import numpy as np
import pytest

from foundry.engines.cpu import CpuEngine
from foundry.errors import LaunchFailed
from foundry.msl.build.objects import _plain
from foundry.program import BuildFailure, Launch, Program, TensorSpec

SPEC = TensorSpec("x", (64,), "float32")
OUT = TensorSpec("out", (64,), "float32")


def program(header: str, body: str) -> Program:
    launch = Launch("keeps", ("x",), (OUT,), body, (64, 1, 1), (32, 1, 1), header)
    return Program((SPEC,), ("out",), (launch,))


KEEPS = {
    "global": ("static uint calls = 0;\n", "calls++; out[i] = x[i] + calls;"),
    "initialised": ("static uint calls = 7;\n", "calls++; out[i] = x[i] + calls;"),
    "table": ("float calls[4096];\n", "calls[i] += x[i]; out[i] = calls[i];"),
    "local": ("", "static uint calls; calls++; out[i] = x[i] + calls;"),
    "member": ("struct S { static inline uint calls; };\n", "out[i] = x[i] + S::calls++;"),
    "template": (
        "template <typename U> struct S { static inline U calls; };\n",
        "out[i] = x[i] + S<uint>::calls++;",
    ),
}


@pytest.mark.parametrize("how", KEEPS)
def test_variables_that_outlive_a_launch_are_refused_on_their_line(how: str) -> None:
    header, body = KEEPS[how]
    found = CpuEngine().build(program(header, f"uint i = thread_position_in_grid.x;\n{body}"))
    assert isinstance(found, BuildFailure)
    assert "variable must reside in constant address space" in found.log
    assert found.log.startswith("header:1:" if header else "source:2:")


def test_thread_local_variables_do_not_link() -> None:
    found = CpuEngine().build(program("thread_local uint calls;\n", "out[0] = x[0] + calls++;"))
    assert isinstance(found, BuildFailure)


def test_constants_and_threadgroup_memory_are_fine() -> None:
    header = (
        "constant float table[3] = {1.0f, 2.0f, 3.0f};\n"
        "constexpr constant int size = 3;\nstatic constant float more = 0.5f;\n"
    )
    body = (
        "uint i = thread_position_in_grid.x; threadgroup float t[32]; "
        "t[i % 32] = table[i % size] + more; "
        "threadgroup_barrier(mem_flags::mem_threadgroup); out[i] = x[i] + t[(i + 1) % 32];"
    )
    assert not isinstance(CpuEngine().build(program(header, body)), BuildFailure)


@pytest.mark.parametrize("index", [64, 66, -1, -900])
def test_a_write_just_outside_of_an_output_is_told(index: int) -> None:
    body = f"uint i = thread_position_in_grid.x; out[i] = x[i]; if (i == 3) out[{index}] = 1.0f;"
    built = CpuEngine().build(program("", body))
    assert not isinstance(built, BuildFailure)
    call = built.bind({"x": np.zeros(64, np.float32)})
    call()
    with pytest.raises(LaunchFailed, match="it wrote outside of 'out'"):
        call.outputs()


def test_a_call_over_another_finds_what_it_left() -> None:
    body = "uint i = thread_position_in_grid.x; if (out[i] != 2.0f) out[i] = x[i];"
    built = CpuEngine().build(program("", body))
    assert not isinstance(built, BuildFailure)
    first = built.bind({"x": np.full(64, 2, np.float32)}, poison=True)
    first()
    second = built.bind({"x": np.full(64, 3, np.float32)}, over=first)
    second()
    assert (second.outputs()["out"] == 2).all()
    apart = built.bind({"x": np.full(64, 3, np.float32)}, poison=True)
    apart()
    assert (apart.outputs()["out"] == 3).all()


def test_threadgroup_memory_does_not_last_from_launch_to_launch() -> None:
    body = (
        "threadgroup uint kept[32]; uint i = thread_position_in_grid.x, t = i % 32; "
        "out[i] = kept[t] == 0xffffffffu ? 0.0f : 1.0f; kept[t] = i; simdgroup_barrier("
        "mem_flags::mem_none);"
    )
    launch = Launch("keeps", ("x",), (OUT,), body, (32, 1, 1), (32, 1, 1))
    built = CpuEngine().build(Program((SPEC,), ("out",), (launch,)))
    assert not isinstance(built, BuildFailure)
    call = built.bind({"x": np.zeros(64, np.float32)}, poison=True)
    for _ in range(3):
        call()
        assert not call.outputs()["out"][:32].any()


@pytest.mark.parametrize(
    ("mangled", "plain"),
    [
        ("_ZL5calls", "calls"),
        ("_ZN1S5callsE", "calls"),
        ("calls", "calls"),
        ("_ZZ4go_1vE2at", "at"),
        ("_Z99x", "_Z99x"),
    ],
)
def test_names_are_shown_as_the_source_has_them(mangled: str, plain: str) -> None:
    assert _plain(mangled) == plain
