"""What an author may not write: one sentence, and nothing raised later."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import pytest

from foundry.authoring import elementwise, rowwise
from foundry.errors import UsageError


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("1 / 0 * x", "'1 / 0' has no value"),
        ("x + 1 / (2 - 2)", r"'1 / \(2 - 2\)' has no value"),
        ("x * (1e30 * 1e30)", "beyond what float32 holds"),
        ("x + ((1e38 ** 8) ** 8)", "beyond what float32 holds"),
        ("x == x", "'x == x' may not stand"),
    ],
)
@pytest.mark.parametrize("kind", [elementwise, rowwise])
def test_numbers_without_a_value_are_refused(kind: Any, expression: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        kind(expression)


def test_what_is_divided_by_zero_in_an_array_is_what_mlx_makes_of_it() -> None:
    found = rowwise("x / 0 + 2 ** 3")(mx.array([[1.0, -1.0, 0.0]]))
    assert str(found.tolist()) == "[[inf, -inf, nan]]"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"inputs": (3,)}, r"inputs is \(3,\); give the names"),
        ({"inputs": None}, "inputs is None; give the names"),
        ({"inputs": ("x[cols]",)}, r"'x\[cols\]': elements have no rows"),
        ({"inputs": ("x", "y[foo]")}, r"'y\[foo\]': elements have no rows"),
        ({"params": 3}, "params is 3; give numbers by name"),
        ({"grad": 3}, "grad is 3; give True, False"),
        ({"grad": "2 * x"}, "grad is '2 [*] x'; give True, False"),
    ],
)
def test_arguments_of_other_kinds_get_one_sentence(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        elementwise("x + 1", **given)
