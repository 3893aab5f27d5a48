"""Where 16 bits are enough: overflow in results and on the way, and the errors of right kernels."""

from __future__ import annotations

import pytest

from foundry.errors import UsageError
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


def test_longer_sums_leave_the_range_earlier() -> None:
    op = get("row_sum")
    short, long = (safe_up_to(op, "float16", axes={"rows": 2, "cols": n}) for n in (64, 8192))
    assert long <= short / 16
    assert "cols 8192" in precision(op, "float16", 1.0, axes={"cols": 8192}).sizes


def test_sums_of_one_sign_decide_where_both_signs_would_cancel() -> None:
    """Around 0 this sum stays within 256 times the deviation; of one sign it grows with cols."""
    limit = safe_up_to(get("row_sum"), "float16", axes={"rows": 1, "cols": 4096})
    assert limit < 65504 * 8 / 4096


@pytest.mark.parametrize("axes", [{"nothing": 3}, {"cols": -1}, {"cols": 0}, {"cols": 10**12}])
def test_sizes_that_an_op_does_not_take_are_refused(axes: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        precision(get("rms_norm"), "float16", 1.0, axes=axes)


def test_sizes_whose_plain_way_takes_too_much_are_refused() -> None:
    """What a mask may skip counts: the formula is computed over all pairs."""
    op = get("attention_interval")
    assert "(0)" in op.flops
    axes = {"heads": 1, "kv_heads": 1, "q_len": 32768, "kv_len": 32768, "head_dim": 8}
    with pytest.raises(UsageError, match="FLOPs; at most"):
        precision(op, "float16", 1.0, axes=axes)


def test_a_tolerance_decides_what_errors_are_safe() -> None:
    assert not precision(get("softmax"), "bfloat16", 1.0, tolerance=1e-3).is_safe
    assert precision(get("softmax"), "float32", 1.0, tolerance=1e-3).is_safe


def test_the_limit_lies_where_results_leave_the_range() -> None:
    limit = safe_up_to(get("relu2"), "float16")
    assert 128 <= limit <= 256
    assert precision(get("relu2"), "float16", limit).is_safe
    assert not precision(get("relu2"), "float16", 2 * limit).is_safe
    assert safe_up_to(get("relu2"), "float16", tolerance=1e-6) == 0.0


def test_a_magnitude_beyond_every_range_is_not_safe_and_warns_nobody() -> None:
    """Warnings are errors here."""
    for dtype in ("float32", "float16"):
        assert not precision(get("row_sum"), dtype, 1e300).is_safe


def test_inputs_that_a_dtype_cannot_hold_are_named_and_not_the_results() -> None:
    """Those of a softmax lie between 0 and 1."""
    found = precision(get("softmax"), "float16", 1e30)
    assert found.why == "inputs of 1e+30 are beyond the range of float16"


def test_everything_up_to_the_limit_is_safe() -> None:
    """Errors of attention are largest at magnitudes of 64 to 128, and small again beyond."""
    op = get("attention")
    limit = safe_up_to(op, "float16")
    assert limit >= 1
    assert all(precision(op, "float16", 2.0**n).is_safe for n in range(int(limit).bit_length()))
