"""A formula that cancels excuses the kernels that follow it to the letter, and no others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from foundry.judge.matching import Within
from foundry.judge.oracle.draws.distributions import DISTRIBUTIONS
from foundry.judge.oracle.expecting import expected
from foundry.judge.oracle.inputs import applicable, make_inputs
from foundry.judge.oracle.noise import Noise, Noisy
from foundry.program import Arrays
from ops import Case, Op, registry
from ops.dtypes import numpy_dtype
from ops.matches import Close
from ops.spec import widen
from ops.workload import match_of

Array = NDArray[Any]
DTYPES = ("float32", "float16", "bfloat16")


def textbook(x: Array, cubic: float = 0.044715, root: float = 0.7978845608) -> Array:
    kind = x.dtype.type
    inner = kind(root) * (x + kind(cubic) * x * x * x)
    result: Array = kind(0.5) * x * (kind(1) + np.tanh(inner))
    return result


def stable(x: Array) -> Array:
    """The same without cancellation: x times a sigmoid."""
    kind = x.dtype.type
    u = kind(2 * 0.7978845608) * (x + kind(0.044715) * x * x * x)
    small = np.exp(-np.abs(u))
    result: Array = x * np.where(u >= 0, kind(1), small) / (kind(1) + small)
    return result


def error_function(x: Array) -> Array:
    from math import erf

    return x * 0.5 * (1.0 + np.vectorize(erf, otypes=[float])(x / np.sqrt(2.0)))


GELU = replace(
    registry.get("silu"),
    name="gelu_by_hand",
    oracle=lambda i, w: (textbook(np.asanyarray(i["x"])),),
)
STEPS = replace(
    GELU,
    oracle=lambda i, w: (stable(np.asanyarray(i["x"])),),
    steps=lambda i, w, stored: (textbook(np.asanyarray(i["x"])),),
)
SIZES = {"rows": 37, "cols": 300}


def wanted(op: Op, dtype: str, distribution: str, sizes: dict[str, int]) -> tuple[Arrays, Within]:
    workload = op.workload(Case(sizes), dtype)
    inputs = make_inputs(op, workload, distribution, 4)
    (want,) = expected(op, workload, inputs, {}, np.random.default_rng(2))
    assert isinstance(want, Within)
    return inputs, want


def answer(kernel: Callable[[Array], Array], inputs: Arrays, dtype: str) -> Array:
    with np.errstate(all="ignore"):
        return kernel(inputs["x"].astype(np.float32)).astype(numpy_dtype(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", [GELU, STEPS], ids=["oracle", "steps"])
@pytest.mark.parametrize("kernel", [textbook, stable])
def test_the_textbook_gelu_passes(op: Op, kernel: Callable[[Array], Array], dtype: str) -> None:
    for distribution in applicable(op, tuple(DISTRIBUTIONS)):
        for sizes in (SIZES, {"rows": 1, "cols": 1}, {"rows": 1, "cols": 7}):
            inputs, want = wanted(op, dtype, distribution, sizes)
            assert want.compare(answer(kernel, inputs, dtype)).fault is None, distribution


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "kernel",
    [
        pytest.param(lambda x: textbook(x, cubic=0.05), id="another cubic term"),
        pytest.param(lambda x: textbook(x, root=0.8), id="a rounded constant"),
        pytest.param(lambda x: x / (1 + np.exp(-1.702 * x)), id="a sigmoid"),
        pytest.param(lambda x: np.where(x < -3, 0, textbook(x)), id="nothing below -3"),
        pytest.param(np.zeros_like, id="zeros"),
    ],
)
def test_a_wrong_gelu_fails(kernel: Callable[[Array], Array], dtype: str) -> None:
    inputs, want = wanted(GELU, dtype, "large", SIZES)
    assert want.compare(answer(kernel, inputs, dtype)).fault is not None


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_error_function_is_another_op(dtype: str) -> None:
    inputs, want = wanted(GELU, dtype, "large", SIZES)
    assert want.compare(answer(error_function, inputs, dtype)).fault is not None


def textbook_erf(x: Array) -> Array:
    from math import erf

    part = np.vectorize(erf, otypes=[np.float32])(x * np.float32(0.70710678))
    return np.float32(0.5) * x * (np.float32(1) + part)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "kernel"), [("gelu_tanh", textbook), ("gelu_erf", textbook_erf)])
def test_the_ops_of_the_registry_let_the_textbook_pass(
    name: str, kernel: Callable[[Array], Array], dtype: str
) -> None:
    op = registry.get(name)
    for distribution in applicable(op, tuple(DISTRIBUTIONS)):
        inputs, want = wanted(op, dtype, distribution, SIZES)
        assert want.compare(answer(kernel, inputs, dtype)).fault is None, distribution


@pytest.mark.parametrize("op", registry.all_ops().values(), ids=lambda op: op.name)
def test_rounding_is_followed_through_every_oracle(op: Op) -> None:
    workload = op.workloads("visible", op.dtypes[0])[1]
    noise = Noise(np.random.default_rng(0), on_steps=True, on_sums=True)
    wide = widen(op, workload, make_inputs(op, workload, "normal", 1))
    noisy = {n: Noisy.of(a, noise) for n, a in wide.items()}
    if not any(isinstance(a, Noisy) for a in noisy.values()):
        return  # codes alone come in, and nothing of them was rounded
    outputs = op.oracle(noisy, workload)
    for tensor, value in zip(op.outputs, outputs, strict=True):
        if isinstance(match_of(tensor, workload), Close):
            assert isinstance(value, Noisy), "use np.asanyarray, not np.asarray"


def one_number_at_a_time(i: Arrays, w: Any) -> tuple[Array, ...]:
    spans = (i["x"][0, begin : begin + 3] for begin in (0, 3, 99))
    return (np.array([span.sum() * np.exp(span.max(initial=0.0)) for span in spans]),)


@pytest.mark.parametrize("on_sums", [False, True])
def test_an_oracle_may_compute_single_numbers(on_sums: bool) -> None:
    noise = Noise(np.random.default_rng(0), on_steps=True, on_sums=on_sums)
    x = Noisy.of(np.ones((1, 6)), noise)
    (found,) = one_number_at_a_time({"x": x}, None)
    assert found == pytest.approx([3 * np.e, 3 * np.e, 0.0], rel=1e-5)


def test_a_formula_that_cancels_wholly_excuses_little() -> None:
    def one_pass(i: Arrays, w: Any, *stored: Any) -> tuple[Array, ...]:
        x = np.asanyarray(i["x"])
        mean = x.sum(axis=-1, keepdims=True) / x.shape[-1]
        variance = (x * x).sum(axis=-1, keepdims=True) / x.shape[-1] - mean * mean
        scaled = (x - mean) / np.sqrt(np.maximum(variance, 0) + 1e-5)
        return (scaled * i["weight"] + i["bias"],)

    op = replace(registry.get("layer_norm"), steps=one_pass)
    inputs, want = wanted(op, "float32", "offset", {"rows": 40, "cols": 577})
    zeros = np.zeros(want.value.shape, np.float32)
    assert want.compare(zeros).fault is not None
    narrow = {name: array.astype(np.float32) for name, array in inputs.items()}
    (wrong,) = one_pass(narrow, None)
    assert want.compare(wrong).fault is not None
