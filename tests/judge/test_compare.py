from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from foundry.judge.matching import Equal, Within
from foundry.judge.proof.compare import compare
from foundry.program import TensorSpec

SPEC = TensorSpec("out", (3, 4), "float32")
WANT = np.arange(12.0).reshape(3, 4) + 0.5
EXPECTED = Within(WANT, 1e-6 * np.abs(WANT))


def right() -> np.ndarray:
    return WANT.astype(np.float32)


def test_right_is_right() -> None:
    difference = compare(SPEC, right(), EXPECTED)
    assert difference.fault is None
    assert difference.bound_ratio <= 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 11.6, 0.0])
def test_one_wrong_element_at_the_end_fails(value: float) -> None:
    got = right()
    got[2, 3] = value
    difference = compare(SPEC, got, EXPECTED)
    assert difference.fault is not None
    assert "at [2, 3]" in difference.fault
    assert "1 of 12" in difference.fault
    assert difference.bound_ratio > 1


def test_all_nan_and_all_zero_fail() -> None:
    assert compare(SPEC, np.full((3, 4), np.nan, np.float32), EXPECTED).fault
    assert compare(SPEC, np.zeros((3, 4), np.float32), EXPECTED).fault


def test_a_small_element_has_a_small_bound() -> None:
    want = np.array([1e-12, 1.0])
    expected = Within(want, 1e-6 * want)
    spec = TensorSpec("out", (2,), "float32")
    assert compare(spec, np.array([0.0, 1.0], np.float32), expected).fault


def test_poison_is_called_unwritten() -> None:
    got = right()
    got[1:].view(np.uint32)[...] = 0xFFFFFFFF
    fault = compare(SPEC, got, EXPECTED).fault
    assert fault == "8 of 12 elements were never written, the first at [1, 0]"


def test_nothing_is_broadcast_or_cast() -> None:
    assert "shape" in str(compare(SPEC, np.ones((1,), np.float32), EXPECTED).fault)
    assert "shape" in str(compare(SPEC, right().reshape(4, 3), EXPECTED).fault)
    assert "dtype" in str(compare(SPEC, right().astype(np.float64), EXPECTED).fault)
    assert "missing" in str(compare(SPEC, None, EXPECTED).fault)


def test_exact_outputs_are_exact() -> None:
    spec = TensorSpec("indices", (3,), "uint32")
    expected = Equal(np.array([3, 1, 2], np.uint32))
    assert compare(spec, np.array([3, 1, 2], np.uint32), expected).fault is None
    assert "expected exactly 2" in str(
        compare(spec, np.array([3, 1, 1], np.uint32), expected).fault
    )
    unwritten = compare(spec, np.full(3, 0xFFFFFFFF, np.uint32), expected)
    assert "never written" in str(unwritten.fault)


def test_exact_floats_are_compared_in_the_outputs_dtype() -> None:
    spec = TensorSpec("values", (2,), "bfloat16")
    want = np.array([1.0 / 3, 2.0])
    got = want.astype(ml_dtypes.bfloat16)
    assert compare(spec, got, Equal(got.astype(np.float64))).fault is None
    got[0] += ml_dtypes.bfloat16(0.002)
    assert compare(spec, got, Equal(want.astype(ml_dtypes.bfloat16))).fault


def test_where_the_oracle_overflows_infinity_of_its_sign_is_right() -> None:
    spec = TensorSpec("out", (2,), "float16")
    expected = Within(np.array([1e6, -1e6]), np.array([1.0, 1.0]))
    assert compare(spec, np.array([np.inf, -np.inf], np.float16), expected).fault is None
    assert compare(spec, np.array([np.inf, np.inf], np.float16), expected).fault
    assert compare(spec, np.array([np.inf, np.nan], np.float16), expected).fault


def test_where_the_oracle_is_nan_only_nan_is_right() -> None:
    spec = TensorSpec("out", (2,), "float32")
    expected = Within(np.array([np.nan, 1.0]), np.array([1e-6, 1e-6]))
    assert compare(spec, np.array([np.nan, 1.0], np.float32), expected).fault is None
    assert compare(spec, np.array([0.0, 1.0], np.float32), expected).fault


def test_empty_outputs_are_right_when_their_shape_is() -> None:
    spec = TensorSpec("out", (0, 4), "float32")
    expected = Within(np.zeros((0, 4)), np.zeros((0, 4)))
    assert compare(spec, np.zeros((0, 4), np.float32), expected).fault is None
    assert compare(spec, np.zeros((4, 0), np.float32), expected).fault


def test_a_right_result_at_the_end_of_the_range_may_round_to_infinity() -> None:
    spec = TensorSpec("out", (1,), "float16")
    near = Within(np.array([65490.0]), np.array([60.0]))
    assert compare(spec, np.array([np.inf], np.float16), near).fault is None
    assert compare(spec, np.array([-np.inf], np.float16), near).fault
    far = Within(np.array([60000.0]), np.array([60.0]))
    assert compare(spec, np.array([np.inf], np.float16), far).fault


@pytest.mark.parametrize(
    ("want", "bound", "will_do"),
    [
        (-5.7e6, 4.2e9, [-np.inf, -65504.0, -50_000.0, 3.0, 65504.0, np.inf]),
        (-5.7e6, 5.66e6, [-np.inf, -65504.0, -50_000.0]),
        (-5.7e6, 1.0, [-np.inf, -65504.0]),
    ],
)
def test_where_a_bound_reaches_back_into_the_range_so_does_what_will_do(
    want: float, bound: float, will_do: list[float]
) -> None:
    spec = TensorSpec("out", (1,), "float16")
    expected = Within(np.array([want]), np.array([bound]))
    for value in (-np.inf, -65504.0, -50_000.0, 3.0, 65504.0, np.inf, np.nan):
        fault = compare(spec, np.array([value], np.float16), expected).fault
        assert (fault is None) is (value in will_do), (value, fault)
