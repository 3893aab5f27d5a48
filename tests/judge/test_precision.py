"""Where 16 bits are enough: overflow in results and on the way, and the errors of right kernels."""

from __future__ import annotations

import pytest

from foundry.judge.precision import precision, safe_up_to
from ops import get


@pytest.mark.parametrize(
    ("op", "dtype", "magnitude", "said"),
    [
        ("softmax", "float16", 1e4, ""),
        ("rms_norm", "float16", 1.0, ""),
        ("exp", "float16", 100.0, "beyond the range of float16"),
        ("exp", "float16", 4.0, ""),
        ("matmul", "float16", 1e3, "beyond the range of float16"),
        ("matmul", "bfloat16", 1e3, ""),
        ("relu2", "float16", 1e3, "beyond the range"),
    ],
)
def test_what_overflows_is_not_safe(op: str, dtype: str, magnitude: float, said: str) -> None:
    found = precision(get(op), dtype, magnitude)
    assert said in found.why
    assert found.is_safe is not bool(said)


def test_sums_of_one_sign_do_not_cancel() -> None:
    found = precision(get("row_sum"), "float16", 1000.0)
    assert "beyond the range of float16" in found.why
    assert "cols" in found.sizes


def test_a_tolerance_decides_what_errors_are_safe() -> None:
    assert not precision(get("softmax"), "bfloat16", 1.0, tolerance=1e-3).is_safe
    assert precision(get("softmax"), "float32", 1.0, tolerance=1e-3).is_safe


def test_the_limit_lies_where_results_leave_the_range() -> None:
    limit = safe_up_to(get("relu2"), "float16")
    assert 128 <= limit <= 256
    assert precision(get("relu2"), "float16", limit).is_safe
    assert not precision(get("relu2"), "float16", 2 * limit).is_safe
    assert safe_up_to(get("relu2"), "float16", tolerance=1e-6) == 0.0
