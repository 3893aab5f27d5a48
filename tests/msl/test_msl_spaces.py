"""Pointers to device memory cannot come from small inputs, which MLX binds as constant."""

from __future__ import annotations

import pytest

from foundry.engines.cpu import CpuEngine
from foundry.program import BuildFailure, Launch, Program, TensorSpec


def build(source: str, size: int) -> str | None:
    launch = Launch(
        "k", ("x",), (TensorSpec("out", (8,), "float32"),), source, (8, 1, 1), (8, 1, 1)
    )
    program = Program((TensorSpec("x", (size,), "float32"),), ("out",), (launch,))
    built = CpuEngine().build(program)
    return built.log if isinstance(built, BuildFailure) else None


@pytest.mark.parametrize(
    "source",
    [
        "const device float* p = x; out[0] = p[0];",
        "device const float* p = x + 1; out[0] = p[0];",
        "const device float4* p = (const device float4*)x; out[0] = p[0].x;",
        "const device uint* p = (const device uint*)(&x[2]); out[0] = p[0];",
        "const device float* p = &x[2]; out[0] = p[0];",
        "auto p = reinterpret_cast<const device uint*>(x); out[0] = p[0];",
        "for (const device float* p = x; p < p + 1; ++p) { out[0] = p[0]; break; }",
    ],
)
def test_a_small_input_does_not_become_a_device_pointer(source: str) -> None:
    log = build("\n" + source, 7)
    assert log is not None
    assert log.startswith("source:2: error: 'x' is in the constant address space")
    assert build("\n" + source, 8) is None


@pytest.mark.parametrize(
    "source",
    [
        "auto p = x + 1; out[0] = p[0];",
        "constant float* p = x; out[0] = p[0];",
        "const constant float4* p = (const constant float4*)x; out[0] = p[0].x;",
        "device float* p = out + int(x[0]); p[0] = x[1];",
        "device float* p = out; p[0] = x[1];",
        "auto f = [](const device float* p) { return p[0]; }; out[0] = x[0]; f(out);",
        "// const device float* p = x;\nout[0] = x[0];",
    ],
)
def test_what_metal_takes_is_taken(source: str) -> None:
    assert build(source, 3) is None


def test_shapes_are_constant_whatever_their_size() -> None:
    log = build("const device int* s = x_shape; out[0] = s[0];", 100)
    assert log is not None
    assert "'x_shape' is in the constant address space" in log
