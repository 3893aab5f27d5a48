"""Axes: their rules in words, and sizes that are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

import ops
from ops import Axis, Case, axes
from ops.errors import UsageError


def test_text_and_axes_with_rules_are_taken_together() -> None:
    found = axes("rows cols", Axis("k", compiled=True), "depth")
    assert [axis.name for axis in found] == ["rows", "cols", "k", "depth"]
    assert [axis.compiled for axis in found] == [False, False, True, False]
    assert axes("") == ()


@pytest.mark.parametrize(
    ("axis", "size", "said"),
    [
        (Axis("k"), 0, ""),
        (Axis("k"), -1, "k is -1; sizes are >= 0"),
        (Axis("k", multiple_of=32), 64, ""),
        (Axis("k", multiple_of=32), 33, "k is 33; k is a multiple of 32"),
        (Axis("k", least=2), 1, "k is 1; k is at least 2"),
        (Axis("k", values=(64, 128)), 128, ""),
        (Axis("k", values=(64, 128)), 96, "k is 96; k is one of 64, 128"),
    ],
)
def test_a_size_that_breaks_the_rule_is_refused_in_words(axis: Axis, size: int, said: str) -> None:
    assert axis.refusal(size) == said
    matmul = ops.get("matmul")
    op = replace(matmul, axes=axes("m n", axis))
    case = Case({"m": 1, "n": 1, "k": size})
    if not said:
        assert op.workload(case, "float32").axes["k"] == size
        return
    with pytest.raises(UsageError, match=said):
        op.workload(case, "float32")


def test_rules_are_shown_as_conditions() -> None:
    assert Axis("k", multiple_of=32, least=64).conditions == ("k % 32 == 0", "k >= 64")
    assert Axis("k", values=(64, 128)).conditions == ("k in {64, 128}",)
    assert ops.get("rope").conditions == ("head_dim % 2 == 0", "head_dim >= 2")
