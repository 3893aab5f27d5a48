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
        ({"params": {1: 1.0}}, r"params is \{1: 1.0\}; give numbers by name"),
        ({"params": {"a b": 1.0}}, "'a b' cannot name a parameter"),
        ({"grad": 3}, "grad is 3; give True, False"),
        ({"grad": "2 * x"}, "grad is '2 [*] x'; give True, False"),
    ],
)
def test_arguments_of_other_kinds_get_one_sentence(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        elementwise("x + 1", **given)


@pytest.mark.parametrize("where", ["[cols", "[]", "[cols][rows]", "[ cols]", "]"])
def test_where_an_input_lies_is_written_whole(where: str) -> None:
    with pytest.raises(UsageError, match="w"):
        rowwise("x * w", ("x", f"w{where}"))


def test_a_text_names_one_input() -> None:
    assert elementwise("xy + 1", "xy").authored.names == ("xy",)
    with pytest.raises(UsageError, match="'x' is no input and no parameter; there are xy"):
        elementwise("x + y", "xy")


@pytest.mark.parametrize("given", [None, "a", [[1.0], [1.0, 2.0]], object()])
def test_what_is_no_array_is_named_in_one_sentence(given: Any) -> None:
    pair = elementwise("x * y", ("x", "y"))
    kind = type(given).__name__
    with pytest.raises(ValueError, match=f"^y is of type {kind}, and no array: .*$"):
        pair(mx.ones((2,)), given)
    said = "weight is None" if given is None else f"weight is of type {kind}, and no array"
    with pytest.raises(ValueError, match=said):
        rowwise("x * weight", ("x", "weight[cols]"))(mx.ones((2, 2)), given)


def test_a_derivative_that_grew_too_long_is_called_one() -> None:
    with pytest.raises(UsageError, match="its derivative, or one of your own, has at most 20000"):
        elementwise("exp(" * 99 + "x" + ")" * 99)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"dtype": None}, "unknown dtype 'None'"),
        ({"dtype": mx.int32}, "unknown dtype 'int32'"),
        ({"device": None}, "device is None; give the name of one"),
        ({"device": mx.gpu}, "device is .*gpu.*; give the name of one"),
    ],
)
def test_what_is_verified_is_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        elementwise("x + 1").verify(**given)


def test_a_dtype_of_mlx_is_verified_by_its_name() -> None:
    function = elementwise("x + 1.25", grad=False)
    assert function.verify(mx.float16).status.passed
    assert [key.split()[1] for key in function.evaluations] == ["float16"]
