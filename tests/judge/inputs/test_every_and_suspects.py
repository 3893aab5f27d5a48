"""Inputs that show every value, and elements of large outputs that stand out from a baseline."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from foundry.judge.matching import Equal, Within
from foundry.judge.oracle.draws.distributions import EVERY
from foundry.judge.oracle.inputs import make_inputs
from foundry.judge.oracle.suspects import suspects
from foundry.judge.oracle.workloads.every import eased, every_value, is_elementwise, tamed
from ops import Case, get
from ops.dtypes import FLOAT_DTYPES

SILU, SOFTMAX, TOPK = get("silu"), get("softmax"), get("topk")
RNG = np.random.default_rng(1)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("silu", True), ("swiglu", True), ("adamw_step", True), ("softmax", False), ("topk", False)],
)
def test_which_ops_treat_each_element_alone(name: str, expected: bool) -> None:
    assert is_elementwise(get(name)) == expected


def test_there_is_no_such_workload_where_elements_depend_on_one_another() -> None:
    assert every_value(SOFTMAX, "float32", 1) == ()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_every_normal_number_of_16_bits_is_there(dtype: str) -> None:
    ((workload, names),) = every_value(SILU, dtype, 7)
    assert names[0] == EVERY
    x = make_inputs(SILU, workload, EVERY, 7)["x"]
    bits = np.unique(np.ascontiguousarray(x).view(np.uint16))
    least, top = (0x0400, 0x7C00) if dtype == "float16" else (0x0080, 0x7F80)
    normal = {b for b in range(1 << 16) if least <= b & 0x7FFF < top}
    assert normal <= set(bits.tolist())


def test_in_32_bits_the_ends_of_the_range_and_every_exponent_are_there() -> None:
    ((workload, _),) = every_value(SILU, "float32", 7)
    x = np.abs(make_inputs(SILU, workload, EVERY, 7)["x"])
    assert x.max() > 1e38
    exponents = set(np.frexp(x[(x > 0) & np.isfinite(x)])[1].tolist())
    assert len(exponents) > 200
    assert {0.5, 1.0, 2.5, 3.0, 6.0} <= set(x.reshape(-1).tolist())


def test_other_seeds_give_other_sizes() -> None:
    sizes = {every_value(SILU, "float32", seed)[0][0].id for seed in range(6)}
    assert len(sizes) > 1


def test_what_the_baseline_itself_gets_wrong_is_taken_away() -> None:
    x = np.array([1.0, 2.0, 3.0, 4.0], np.float32)
    want = (Within(x.astype(np.float64), np.full(4, 0.1)),)
    inputs = {"x": np.array([5.0, 6.0, 7.0, 8.0], np.float32)}
    assert tamed(SILU, inputs, want, {"out": x}) is None
    wrong = np.array([1.0, np.inf, 3.0, np.nan], np.float32)
    tame = tamed(SILU, inputs, want, {"out": wrong})
    assert tame is not None
    assert tame["x"].tolist() == [5.0, 1.0, 7.0, 1.0]
    assert tame["x"].dtype == np.float32


def test_parameters_and_what_is_compared_exactly_stay() -> None:
    inputs: dict[str, NDArray[Any]] = {"x": np.ones(2, np.float32), "alpha": np.float32(0.5)}
    want = (Within(np.ones(2), np.full(2, 0.1)),)
    tame = tamed(get("elu"), inputs, want, {"out": np.array([9.0, 1.0], np.float32)})
    assert tame is not None
    assert tame["alpha"] == np.float32(0.5)
    exact = (Equal(np.array([1, 2])),)
    assert tamed(SILU, inputs, exact, {"out": np.array([3, 4])}) is None


@pytest.mark.parametrize(
    ("up", "got", "right"), [(3e38, np.inf, True), (3e38, 7.0, False), (3.0, np.inf, False)]
)
def test_products_in_another_order_may_leave_the_range(up: float, got: float, right: bool) -> None:
    op = get("relu2_glu_vjp")
    inputs = {"gate": np.array([1e-30]), "up": np.array([up]), "dout": np.array([5.0])}
    inputs = {n: a.astype(np.float32) for n, a in inputs.items()}
    workload = op.workload(Case({"rows": 1, "cols": 1}), "float32")
    wants = [Within(np.array([v]), np.array([1e-12])) for v in (1e-9, 0.0)]
    ones = {t.name: np.ones(1, np.float32) for t in op.outputs}
    found = eased(op, workload, inputs, wants, ones)
    assert (found[0].compare(np.array([got], np.float32)).fault is None) == right


def test_one_input_alone_has_no_order() -> None:
    inputs = {"x": np.array([3e38], np.float32)}
    want = Within(np.array([1.0]), np.array([0.1]))
    workload = SILU.workload(Case({"rows": 1, "cols": 1}), "float32")
    assert eased(SILU, workload, inputs, [want], {"out": np.ones(1, np.float32)}) == (want,)


def test_where_the_baseline_is_lost_a_kernel_may_be() -> None:
    """0 * exp(1000), which is 0, and no number in float32."""
    op = get("exp_vjp")
    workload = op.workload(Case({"rows": 1, "cols": 2}), "float32")
    inputs = {"x": np.array([1e3, 1.0], np.float32), "dout": np.array([0.0, 1.0], np.float32)}
    want = [Within(np.array([0.0, math.e]), np.array([1e-9, 1e-6]))]
    lost = {"dx": np.array([np.nan, math.e], np.float32)}
    (found,) = eased(op, workload, inputs, want, lost)
    assert found.compare(np.array([np.nan, math.e], np.float32)).fault is None
    assert found.compare(np.array([1.0, math.e], np.float32)).fault is not None
    assert found.compare(np.array([0.0, np.nan], np.float32)).fault is not None


def large(dtype: str = "float32") -> tuple[Any, NDArray[Any]]:
    workload = SOFTMAX.workload(Case({"rows": 5000, "cols": 64}), dtype)
    x = np.random.default_rng(3).standard_normal((5000, 64)).astype(np.float32)
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return workload, (e / e.sum(axis=-1, keepdims=True)).astype(np.float32)


def test_rounding_is_no_suspect() -> None:
    workload, base = large()
    got = np.nextafter(base, np.float32(1.0))
    assert suspects(SOFTMAX, workload, {"out": got}, {"out": base}, RNG) is None


@pytest.mark.parametrize("wrong", [0.5, np.nan, np.inf, 0.0])
def test_one_element_of_many_that_is_off_is_a_suspect(wrong: float) -> None:
    workload, base = large()
    got = base.copy()
    got[3210, 17] = wrong
    found = suspects(SOFTMAX, workload, {"out": got}, {"out": base}, RNG)
    assert found is not None
    assert found.places["rows"].tolist() == [3210]


def test_nan_in_both_is_no_suspect() -> None:
    workload, base = large()
    base[7] = np.nan
    assert suspects(SOFTMAX, workload, {"out": base.copy()}, {"out": base}, RNG) is None


def test_of_many_the_farthest_are_asked_for_and_some_others() -> None:
    workload, base = large()
    got = base + np.float32(0.01)
    got[42] += np.float32(0.5)
    found = suspects(SOFTMAX, workload, {"out": got}, {"out": base}, RNG)
    assert found is not None
    rows = found.places["rows"]
    assert 42 in rows
    assert 2 <= rows.size <= 64


def test_exact_outputs_are_suspect_where_they_differ_at_all() -> None:
    case = Case({"rows": 2000, "cols": 40, "k": 2})
    workload = TOPK.workload(case, "float32")
    shape = (2000, 2)
    base = {"values": np.ones(shape, np.float32), "indices": np.zeros(shape, np.uint32)}
    got = {name: array.copy() for name, array in base.items()}
    assert suspects(TOPK, workload, got, base, RNG) is None
    got["indices"][1234, 1] = 5
    found = suspects(TOPK, workload, got, base, RNG)
    assert found is not None
    assert found.places["rows"].tolist() == [1234]


@pytest.mark.parametrize("dtype", FLOAT_DTYPES)
def test_suspects_are_places_of_a_workload_the_oracle_can_answer(dtype: str) -> None:
    workload, base = large(dtype)
    got = base * np.float32(1.5)
    found = suspects(SOFTMAX, workload, {"out": got}, {"out": base}, RNG)
    assert found is not None
    assert found.part.axes == {"rows": found.places["rows"].size, "cols": 64}
