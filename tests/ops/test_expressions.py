"""Expressions are arithmetic and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.texts.expressions import ExpressionError, evaluate, holds, names_in

NAMES = {"rows": 7, "cols": 2049}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (5, 5),
        ("rows * 32", 224),
        ("ceildiv(cols, 1024) * 32", 96),
        ("max(min(rows, 3), 2, 1) - -1", 4),
        ("cols // rows % 10", 2),
    ],
)
def test_values(text: int | str, value: int) -> None:
    assert evaluate(text, NAMES) == value


@pytest.mark.parametrize(
    "text",
    [
        "rows ** 2",
        "rows / 2",
        "open('x')",
        "rows.real",
        "[rows]",
        "1.5",
        "True",
        "rows if rows else 1",
        "lambda: 1",
        "max(rows)",
        "ceildiv(1, 2, 3)",
        "rows <",
        "",
        "(" * 300,
        "9" * 5000,
        "max(*rows)",
    ],
)
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate(text, NAMES)


def test_conditions() -> None:
    assert holds("rows % 7 == 0 and 1 <= cols < 4096", NAMES)
    assert holds("not rows == 8 or cols == 1", NAMES)
    assert not holds("rows > cols", NAMES)
    assert names_in("ceildiv(cols, TILE) % 2 == 0 or rows > 1") == {"cols", "TILE", "rows"}


@given(st.text(max_size=60))
def test_no_text_raises_anything_else(text: str) -> None:
    for function in (evaluate, holds):
        try:
            function(text, NAMES)
        except ExpressionError:
            continue


@given(st.integers(0, 10**6), st.integers(1, 10**4))
def test_ceildiv_rounds_up(a: int, b: int) -> None:
    value = evaluate("ceildiv(a, b)", {"a": a, "b": b})
    assert (value - 1) * b < a <= value * b or (a == 0 and value == 0)
