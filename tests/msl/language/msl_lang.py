"""Runs one Metal body on the cpu engine: the helper of the language's conformance tests."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundry.engines.cpu import CpuEngine
from foundry.program import BuildFailure, Launch, Program, TensorSpec
from ops.dtypes import numpy_dtype

Array = NDArray[Any]
_MLX_NAMES = {"bool": "bool_"}


@functools.cache
def engine() -> CpuEngine:
    """One engine for all tests of a process."""
    return CpuEngine()


def mlx_dtype(array: Array) -> str:
    """The MLX name of an array's element type."""
    return _MLX_NAMES.get(array.dtype.name, array.dtype.name)


def build(
    source: str,
    inputs: Mapping[str, Array],
    outputs: Mapping[str, tuple[Sequence[int], str]],
    *,
    grid: Sequence[int] = (1, 1, 1),
    threadgroup: Sequence[int] = (1, 1, 1),
    header: str = "",
    template: Sequence[tuple[str, str | int | bool]] = (),
    init_value: float | None = None,
    atomic_outputs: bool = False,
    math_mode: str = "safe",
) -> Any:
    """The executable of a one-launch program, or its `BuildFailure`."""
    specs = tuple(TensorSpec(n, a.shape, mlx_dtype(a)) for n, a in inputs.items())
    results = tuple(TensorSpec(n, tuple(s), d) for n, (s, d) in outputs.items())
    launch = Launch(
        name="lang",
        inputs=tuple(inputs),
        outputs=results,
        source=source,
        grid=_size(grid),
        threadgroup=_size(threadgroup),
        header=header,
        template=tuple(template),
        init_value=init_value,
        atomic_outputs=atomic_outputs,
        math_mode=math_mode,
    )
    return engine().build(Program(specs, tuple(outputs), (launch,)))


def run(
    source: str,
    inputs: Mapping[str, Array],
    outputs: Mapping[str, tuple[Sequence[int], str]],
    **options: Any,
) -> dict[str, Array]:
    """Outputs of a body; a body that does not build fails the test with the compiler's words."""
    built = build(source, inputs, outputs, **options)
    assert not isinstance(built, BuildFailure), built.log
    call = built.bind(dict(inputs))
    call()
    results: dict[str, Array] = call.outputs()
    return results


def log_of(source: str, inputs: Mapping[str, Array], **options: Any) -> str:
    """The compiler's words for a body that must not build."""
    built = build(source, inputs, {"out": ((1,), "float32")}, **options)
    assert isinstance(built, BuildFailure), "the body builds"
    return built.log


def checks(expressions: Sequence[str], header: str = "", **options: Any) -> list[bool]:
    """Truth of many Metal expressions, in one kernel."""
    lines = [f"out[{i}] = bool({text});" for i, text in enumerate(expressions)]
    x = np.array([1.5, -2.25, 3.0, 0.5, 7.0, -0.125, 2.0, 9.0], np.float32)
    source = "\n".join(lines)
    got = run(source, {"x": x}, {"out": ((len(lines),), "bool_")}, header=header, **options)
    return [bool(v) for v in got["out"]]


def ulps(got: Array, exact: Array, dtype: str) -> Array:
    """Error in units in the last place of `exact` (float64 or longdouble) rounded to `dtype`."""
    digits, lowest = {"float32": (24, -126), "float16": (11, -14), "bfloat16": (8, -126)}[dtype]
    _, exponent = np.frexp(np.abs(exact).astype(np.float64))
    unit = np.exp2(np.maximum(exponent - 1, lowest) - (digits - 1.0))
    return np.asarray(np.abs(got.astype(np.longdouble) - exact) / unit)


def as_dtype(values: Array, dtype: str) -> Array:
    """Values rounded to an MLX dtype."""
    return values.astype(numpy_dtype(dtype))


def _size(values: Sequence[int]) -> tuple[int, int, int]:
    x, y, z = values
    return x, y, z
