"""Conditions solved for an axis: every size of a solution makes the condition true."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.texts.expressions import holds
from ops.texts.relations import Solution, solutions

CONDITIONS = (
    "a <= b",
    "a < b * 2",
    "a >= b + 1",
    "a > b",
    "a == b // 2",
    "b * 3 <= a",
    "b == a",
    "a % b == 0",
    "a % max(b, 1) == 0",
    "b % a == 0",
    "(b + 4) % a == 0",
)


def keeps(size: int, way: Solution) -> bool:
    if size < way.least or size % way.multiple_of:
        return False
    fits = way.most is None or size <= way.most
    return fits and (way.divides is None or (size > 0 and way.divides % size == 0))


@given(
    condition=st.sampled_from(CONDITIONS),
    a=st.integers(0, 40),
    b=st.integers(1, 40),
    size=st.integers(0, 100),
)
def test_a_size_is_a_solution_exactly_where_the_condition_holds(
    condition: str, a: int, b: int, size: int
) -> None:
    ways = [way for way in solutions(condition, {"a": a, "b": b}) if way.name == "a"]
    assert ways
    for way in ways:
        true = size > 0 and holds(condition, {"a": size, "b": b})
        assert (size > 0 and keeps(size, way)) == true, way


@pytest.mark.parametrize("condition", ["a * a <= b * b", "a % 2 == b % 2", "a != b", "a <= b < a"])
def test_what_is_too_complicated_has_no_solution(condition: str) -> None:
    assert solutions(condition, {"a": 3, "b": 5}) == ()


def test_each_part_of_an_and_is_solved_and_an_or_is_not() -> None:
    found = solutions("a <= 8 and b % 4 == 0", {"a": 9, "b": 3})
    assert set(found) == {Solution("a", most=8), Solution("b", multiple_of=4)}
    assert solutions("a <= 8 or b % 4 == 0", {"a": 9, "b": 3}) == ()
