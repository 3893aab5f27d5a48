"""The cpu engine runs kernels with threadgroup memory, barriers and SIMD-group operations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from foundry.engines.cpu import CpuEngine
from foundry.errors import LaunchFailed
from foundry.program import Arrays, BuildFailure, Launch, Program, Size3, TensorSpec

ENGINE = CpuEngine()
Outputs = dict[str, tuple[tuple[int, ...], str]]


def one_launch(
    source: str, inputs: Arrays, outputs: Outputs, grid: Size3, threadgroup: Size3, **more: Any
) -> Program:
    specs = tuple(TensorSpec(n, a.shape, str(a.dtype)) for n, a in inputs.items())
    made = tuple(TensorSpec(n, shape, dtype) for n, (shape, dtype) in outputs.items())
    launch = Launch("k", tuple(inputs), made, source, grid, threadgroup, **more)
    return Program(specs, tuple(outputs), (launch,))


def run(
    source: str, inputs: Arrays, outputs: Outputs, grid: Size3, threadgroup: Size3, **more: Any
) -> Arrays:
    built = ENGINE.build(one_launch(source, inputs, outputs, grid, threadgroup, **more))
    assert not isinstance(built, BuildFailure), built.log
    call = built.bind(inputs, poison=True)
    call()
    return call.outputs()


def test_softmax_with_a_simdgroup_a_row() -> None:
    x = np.random.default_rng(0).standard_normal((37, 100)).astype(np.float32)
    source = """
        uint row = threadgroup_position_in_grid.x, lane = thread_index_in_simdgroup;
        float top = -INFINITY, total = 0;
        for (uint i = lane; i < N; i += 32) top = max(top, x[row * N + i]);
        top = simd_max(top);
        for (uint i = lane; i < N; i += 32) total += exp(x[row * N + i] - top);
        total = simd_sum(total);
        for (uint i = lane; i < N; i += 32) out[row * N + i] = exp(x[row * N + i] - top) / total;
    """
    outputs = {"out": (x.shape, "float32")}
    got = run(source, {"x": x}, outputs, (37 * 32, 1, 1), (32, 1, 1), template=(("N", 100),))
    exact = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
    np.testing.assert_allclose(got["out"], exact / exact.sum(1, keepdims=True), rtol=1e-5)


def test_threadgroup_reduction_through_barriers_with_an_edge_group() -> None:
    x = np.arange(1000, dtype=np.float32)
    source = """
        threadgroup float part[256];
        uint i = thread_position_in_grid.x, t = thread_position_in_threadgroup.x;
        part[t] = x[i];
        threadgroup_barrier(mem_flags::mem_threadgroup);
        for (uint step = 128; step > 0; step /= 2) {
            if (t < step && t + step < threads_per_threadgroup.x) part[t] += part[t + step];
            threadgroup_barrier(mem_flags::mem_threadgroup);
        }
        if (t == 0) out[threadgroup_position_in_grid.x] = part[0];
    """
    got = run(source, {"x": x}, {"out": ((4,), "float32")}, (1000, 1, 1), (256, 1, 1))
    expected = [x[i : i + 256].sum() for i in range(0, 1000, 256)]
    np.testing.assert_array_equal(got["out"], np.array(expected, np.float32))


def test_two_stages_pass_a_temporary_on() -> None:
    x = np.arange(8, dtype=np.int32)
    twice = Launch(
        "twice", ("x",), (TensorSpec("t", (8,), "int32"),),
        "t[thread_position_in_grid.x] = x[thread_position_in_grid.x] * 2;", (8, 1, 1), (8, 1, 1),
    )  # fmt: skip
    plus = Launch(
        "plus", ("t", "x"), (TensorSpec("y", (8,), "int32"),),
        "uint i = thread_position_in_grid.x; y[i] = t[i] + x[i];", (8, 1, 1), (8, 1, 1),
    )  # fmt: skip
    built = ENGINE.build(Program((TensorSpec("x", (8,), "int32"),), ("y",), (twice, plus)))
    call = built.bind({"x": x})
    call()
    np.testing.assert_array_equal(call.outputs()["y"], x * 3)


def test_a_barrier_that_returned_threads_miss_is_reported_not_waited_for() -> None:
    program = one_launch(
        "if (thread_position_in_grid.x < 16) threadgroup_barrier(mem_flags::mem_none);"
        "out[thread_position_in_grid.x] = 1;",
        {"x": np.zeros(64, np.float32)}, {"out": ((64,), "float32")}, (64, 1, 1), (64, 1, 1),
    )  # fmt: skip
    call = ENGINE.build(program).bind({"x": np.zeros(64, np.float32)})
    for _ in range(3):
        with pytest.raises(LaunchFailed, match=r"reached by 16 of 64 threads"):
            call()


def test_a_kernel_that_does_not_compile_is_a_build_failure_on_its_own_line() -> None:
    program = one_launch(
        "uint i = 0;\nout[i] = nope;",
        {"x": np.zeros(8, np.float32)}, {"out": ((8,), "float32")}, (8, 1, 1), (8, 1, 1),
    )  # fmt: skip
    failure = ENGINE.build(program)
    assert isinstance(failure, BuildFailure)
    assert "source:2:10: error: use of undeclared identifier 'nope'" in failure.log


def test_a_threadgroup_over_the_limit_is_refused_in_the_words_of_mlx() -> None:
    program = one_launch(
        "out[0] = 1;", {"x": np.zeros(8, np.float32)}, {"out": ((8,), "float32")},
        (4096, 1, 1), (2048, 1, 1),
    )  # fmt: skip
    failure = ENGINE.build(program)
    assert "Thread group size (2048) is greater than  the maximum" in failure.log


def test_init_value_and_poison() -> None:
    x = np.zeros(8, np.float32)
    source = "if (thread_position_in_grid.x == 0) { out[0] = x[0]; }"
    got = run(source, {"x": x}, {"out": ((4,), "float32")}, (1, 1, 1), (1, 1, 1), init_value=0.5)
    np.testing.assert_array_equal(got["out"], np.array([0, 0.5, 0.5, 0.5], np.float32))
    got = run(source, {"x": x}, {"out": ((4,), "float32")}, (1, 1, 1), (1, 1, 1))
    assert np.isnan(got["out"][1:]).all()
