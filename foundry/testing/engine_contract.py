# ruff: noqa: D102 - the names of the tests say what they ask
"""What every engine must do, as pytest tests; also for engines of other packages.

from foundry.testing.engine_contract import EngineContract

class TestMyEngine(EngineContract):
@pytest.fixture(scope="class")
def engine(self) -> Engine:
return MyEngine()
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from foundry.engines.base import Engine, Executable
from foundry.program import Arrays, BuildFailure, Device, Launch, Program, Size3, TensorSpec
from ops.dtypes import numpy_dtype

DTYPES = ("bool_", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64",
          "float16", "bfloat16", "float32", "complex64")  # fmt: skip
COPY = "uint i = thread_position_in_grid.x; out[i] = x[i];"
ROW_SUM = """
    threadgroup float part[32];
    uint row = threadgroup_position_in_grid.x, t = thread_position_in_threadgroup.x;
    float sum = 0;
    for (uint i = t; i < N; i += threads_per_threadgroup.x) sum += x[row * N + i];
    sum = simd_sum(sum);
    if (thread_index_in_simdgroup == 0) part[simdgroup_index_in_threadgroup] = sum;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (t == 0) {
        float total = 0;
        for (uint g = 0; g < simdgroups_per_threadgroup; g++) total += part[g];
        out[row] = total;
    }"""


def program(
    source: str,
    inputs: Arrays,
    outputs: dict[str, tuple[tuple[int, ...], str]],
    grid: Size3,
    threadgroup: Size3,
    **more: Any,
) -> Program:
    """A program of one launch over these inputs."""
    taken = tuple(TensorSpec(name, a.shape, _mlx_name(a)) for name, a in inputs.items())
    made = tuple(TensorSpec(name, shape, dtype) for name, (shape, dtype) in outputs.items())
    launch = Launch("contract", tuple(inputs), made, source, grid, threadgroup, **more)
    return Program(taken, tuple(outputs), (launch,))


def run(engine: Engine, what: Program, inputs: Arrays, poison: bool = False) -> Arrays:
    """Build, bind and call a program once."""
    call = built(engine, what).bind(inputs, poison=poison)
    call()
    return call.outputs()


def built(engine: Engine, what: Program) -> Executable:
    """A program that must build."""
    result = engine.build(what)
    assert not isinstance(result, BuildFailure), result.log
    return result


def _mlx_name(array: NDArray[Any]) -> str:
    return "bool_" if array.dtype == bool else str(array.dtype)


class EngineContract:
    """Subclass it and give a fixture `engine`."""

    def test_it_is_an_engine_with_a_stable_device(self, engine: Engine) -> None:
        assert isinstance(engine, Engine)
        assert engine.unavailable() is None
        device = engine.device()
        assert isinstance(device, Device)
        assert device.kind
        assert device.id == engine.device().id
        assert {"mlx_version", "system"} <= set(device.fingerprint)

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_arrays_of_a_dtype_keep_bits_shape_and_dtype(self, engine: Engine, dtype: str) -> None:
        x = np.arange(60).reshape(5, 12).astype(numpy_dtype(dtype))
        what = program(COPY, {"x": x}, {"out": ((5, 12), dtype)}, (60, 1, 1), (16, 1, 1))
        got = run(engine, what, {"x": x})["out"]
        assert got.dtype == x.dtype
        assert got.shape == x.shape
        assert got.tobytes() == x.tobytes()

    def test_outputs_of_a_call_do_not_change_with_the_next(self, engine: Engine) -> None:
        source = "out[thread_position_in_grid.x] = x[0] + n;"
        x, n = np.zeros(1, np.float32), np.array(3, np.int32)
        what = program(source, {"x": x, "n": n}, {"out": ((4,), "float32")}, (4, 1, 1), (4, 1, 1))
        executable = built(engine, what)
        first = executable.bind({"x": x, "n": n})
        first()
        before = first.outputs()["out"]
        second = executable.bind({"x": x + 1, "n": n})
        second()
        first()
        assert before.tolist() == first.outputs()["out"].tolist() == [3] * 4
        assert second.outputs()["out"].tolist() == [4] * 4

    def test_inputs_of_another_shape_or_dtype_are_refused(self, engine: Engine) -> None:
        x = np.zeros(8, np.float32)
        executable = built(
            engine, program(COPY, {"x": x}, {"out": ((8,), "float32")}, (8, 1, 1), (8, 1, 1))
        )
        for wrong in (np.zeros(9, np.float32), np.zeros(8, np.float16)):
            with pytest.raises(ValueError, match="'x'"):
                executable.bind({"x": wrong})

    def test_what_nobody_wrote_is_poisoned(self, engine: Engine) -> None:
        x = np.ones(8, np.float32)
        source = "if (thread_position_in_grid.x < 3) out[thread_position_in_grid.x] = x[0];"
        what = program(source, {"x": x}, {"out": ((8,), "float32")}, (8, 1, 1), (8, 1, 1))
        got = run(engine, what, {"x": x}, poison=True)["out"]
        assert got[:3].tolist() == [1, 1, 1]
        assert np.isnan(got[3:]).all()

    def test_init_value_is_set_before_every_call(self, engine: Engine) -> None:
        x = np.ones(8, np.float32)
        source = "atomic_fetch_add_explicit(&out[0], int(x[0]), memory_order_relaxed);"
        call = built(
            engine,
            program(
                source, {"x": x}, {"out": ((2,), "int32")}, (100, 1, 1), (32, 1, 1),
                atomic_outputs=True, init_value=5.0,
            ),
        ).bind({"x": x}, poison=True)  # fmt: skip
        for _ in range(3):
            call()
            assert call.outputs()["out"].tolist() == [105, 5]

    @pytest.mark.parametrize("threads", [32, 96, 256])
    @pytest.mark.parametrize("cols", [1, 31, 100, 1000])
    def test_barriers_and_simdgroups(self, engine: Engine, threads: int, cols: int) -> None:
        x = np.random.default_rng(cols).integers(-9, 9, (13, cols)).astype(np.float32)
        what = program(
            ROW_SUM, {"x": x}, {"out": ((13,), "float32")}, (13 * threads, 1, 1), (threads, 1, 1),
            template=(("N", cols),),
        )  # fmt: skip
        assert run(engine, what, {"x": x})["out"].tolist() == x.sum(1).tolist()

    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int64"])
    def test_what_nobody_wrote_is_no_zero(self, engine: Engine, dtype: str) -> None:
        x = np.ones(8, np.float32)
        source = "if (thread_position_in_grid.x > 8) out[0] = 1;"
        what = program(source, {"x": x}, {"out": ((8,), dtype)}, (8, 1, 1), (8, 1, 1))
        assert run(engine, what, {"x": x}, poison=True)["out"].all()

    def test_inputs_are_read_where_the_kernel_finds_them(self, engine: Engine) -> None:
        x = np.arange(8, dtype=np.float32)
        what = program(COPY, {"x": x}, {"out": ((8,), "float32")}, (8, 1, 1), (8, 1, 1))
        call = built(engine, what).bind({"x": x})
        call()
        assert call.inputs()["x"].tobytes() == x.tobytes()

    def test_a_grid_without_threads_keeps_the_dtype(self, engine: Engine) -> None:
        x = np.ones(3, np.float32)
        for shape in ((3,), (0, 2)):
            made = program(
                "out[0] = 1;", {"x": x}, {"out": (shape, "uint32")}, (0, 1, 1), (1, 1, 1)
            )
            got = run(engine, made, {"x": x}, poison=True)["out"]
            assert (got.dtype, got.shape) == (np.dtype(np.uint32), shape)

    def test_a_grid_without_threads_is_not_dispatched(self, engine: Engine) -> None:
        x = np.ones(3, np.float32)
        source = "out[0] = x[0];"
        for grid in ((0, 1, 1), (4, 0, 1), (0, 0, 0)):
            made = program(
                source, {"x": x}, {"out": ((3,), "float32")}, grid, (1, 1, 1), init_value=7.0
            )
            assert run(engine, made, {"x": x})["out"].tolist() == [7.0] * 3

    def test_a_grid_that_does_not_divide_runs_exactly_its_threads(self, engine: Engine) -> None:
        source = """
            uint3 p = thread_position_in_grid;
            uint at = (p.z * 5 + p.y) * 7 + p.x;
            atomic_fetch_add_explicit(&out[at], 1 + threads_per_threadgroup.x,
                                      memory_order_relaxed);"""
        x = np.zeros(1, np.float32)
        what = program(
            source, {"x": x}, {"out": ((3, 5, 7), "uint32")}, (7, 5, 3), (4, 2, 2),
            atomic_outputs=True, init_value=0.0,
        )  # fmt: skip
        got = run(engine, what, {"x": x})["out"]
        assert (got[:, :, :4] == 5).all()
        assert (got[:, :, 4:] == 4).all()

    def test_launches_run_in_order_over_temporaries(self, engine: Engine) -> None:
        x = np.arange(8, dtype=np.float32)
        steps = tuple(
            Launch(
                "step", (source,), (TensorSpec(target, (8,), "float32"),),
                f"uint i = thread_position_in_grid.x; {target}[i] = {source}[7 - i] * K;",
                (8, 1, 1), (4, 1, 1), template=(("K", factor),),
            )
            for source, target, factor in (("x", "a", 2), ("a", "b", 3), ("b", "y", 5))
        )  # fmt: skip
        spec = TensorSpec("x", (8,), "float32")
        got = run(engine, Program((spec,), ("y", "a"), steps), {"x": x})
        assert sorted(got) == ["a", "y"]
        assert got["y"].tolist() == (x[::-1] * 30).tolist()

    def test_helpers_templates_and_scalars(self, engine: Engine) -> None:
        x, eps = np.arange(8, dtype=np.float16), np.array(0.5, np.float32)
        source = "uint i = thread_position_in_grid.x; out[i] = T(plus(x[i], eps)) * (F ? N : 0);"
        what = program(
            source, {"x": x, "eps": eps}, {"out": ((8,), "float16")}, (8, 1, 1), (8, 1, 1),
            header="inline float plus(float a, float b) { return a + b; }\n",
            template=(("T", "float16"), ("N", 4), ("F", True)),
        )  # fmt: skip
        got = run(engine, what, {"x": x, "eps": eps})["out"]
        assert got.tolist() == ((x + np.float16(0.5)) * 4).tolist()

    @pytest.mark.parametrize("math_mode", ["safe", "relaxed", "fast"])
    def test_math_modes_build(self, engine: Engine, math_mode: str) -> None:
        x = np.linspace(0.1, 4, 64).astype(np.float32)
        source = "uint i = thread_position_in_grid.x; out[i] = log(x[i]) + sqrt(x[i]);"
        what = program(
            source, {"x": x}, {"out": ((64,), "float32")}, (64, 1, 1), (32, 1, 1),
            math_mode=math_mode,
        )  # fmt: skip
        got = run(engine, what, {"x": x})["out"]
        np.testing.assert_allclose(got, np.log(x) + np.sqrt(x), rtol=1e-5, atol=1e-5)

    def test_a_kernel_at_fault_is_a_build_failure(self, engine: Engine) -> None:
        x = np.zeros(8, np.float32)
        good = program(COPY, {"x": x}, {"a": ((8,), "float32")}, (8, 1, 1), (8, 1, 1)).launches[0]
        good = Launch("c", ("x",), good.outputs, COPY.replace("out", "a"), (8, 1, 1), (8, 1, 1))
        out = (TensorSpec("out", (8,), "float32"),)
        bad = Launch("c", ("a",), out, "\nout[0] = missing;", (8, 1, 1), (8, 1, 1))
        spec = TensorSpec("x", (8,), "float32")
        failure = engine.build(Program((spec,), ("out",), (good, bad)))
        assert isinstance(failure, BuildFailure)
        assert failure.launch == 1
        assert "missing" in failure.log

    def test_too_many_threads_are_a_build_failure(self, engine: Engine) -> None:
        x = np.zeros(8, np.float32)
        what = program(COPY, {"x": x}, {"out": ((8,), "float32")}, (8, 1, 1), (64, 64, 1))
        failure = engine.build(what)
        assert isinstance(failure, BuildFailure)
        assert "4096" in failure.log
