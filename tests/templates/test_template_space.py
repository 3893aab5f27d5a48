"""Knob spaces: every point valid, moves stay inside, drawing follows the seed."""

from __future__ import annotations

import random
from collections.abc import Iterable
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from templates import Template, Value, one_of_each_text, space

BUILT_IN = one_of_each_text()


def as_tuple(values: Iterable[Value]) -> tuple[Value, ...]:
    return tuple(values)


@st.composite
def spaces(draw: st.DrawFn) -> Template:
    """Any template whose default is valid, with constraints that exclude some points."""
    values: st.SearchStrategy[list[int] | list[bool] | list[str]] = st.one_of(
        st.lists(st.integers(0, 64), min_size=1, max_size=4, unique=True),
        st.lists(st.booleans(), min_size=1, max_size=2, unique=True),
        st.lists(st.sampled_from(["exp", "exp2", "fast"]), min_size=1, max_size=3, unique=True),
    )
    knobs: dict[str, tuple[Value, ...]] = draw(
        st.dictionaries(st.sampled_from("abcd"), values.map(as_tuple), max_size=4)
    )
    numeric = [name for name, v in knobs.items() if not isinstance(v[0], str)]
    constraints: tuple[str, ...] = ()
    if numeric:
        total = " + ".join(numeric)
        bound = sum(int(knobs[name][0]) for name in numeric)
        constraints = (f"{total} <= {bound + draw(st.integers(0, 64))}",)
    return Template("any", "softmax", "any", MappingProxyType(knobs), constraints, "")


@given(spaces(), st.integers())
def test_moves_and_samples_stay_inside(template: Template, seed: int) -> None:
    every = list(space.points(template))
    assert every[0] == space.default(template)
    assert len({tuple(p.items()) for p in every}) == len(every)
    rng = random.Random(seed)
    point = space.sample(template, rng)
    assert point in every
    for other in space.neighbours(template, point):
        assert other in every
        assert sum(other[k] != point[k] for k in point) == 1
        assert point in space.neighbours(template, other)


@given(spaces(), st.integers())
def test_coverage_uses_every_reachable_value(template: Template, seed: int) -> None:
    chosen = space.coverage(template, random.Random(seed))
    assert chosen[0] == space.default(template)
    assert all(space.valid(template, p) for p in chosen)
    reachable = {pair for p in space.points(template) for pair in p.items()}
    assert {pair for p in chosen for pair in p.items()} == reachable
    assert chosen == space.coverage(template, random.Random(seed))


@pytest.mark.parametrize("template", BUILT_IN, ids=lambda t: t.name)
def test_built_in_spaces_are_connected_and_use_every_value(template: Template) -> None:
    every = {tuple(p.items()) for p in space.points(template)}
    assert {pair for p in every for pair in p} == {
        (knob, value) for knob, values in template.knobs.items() for value in values
    }
    seen, edge = set(), [space.default(template)]
    while edge:
        point = edge.pop()
        if tuple(point.items()) not in seen:
            seen.add(tuple(point.items()))
            edge += space.neighbours(template, point)
    assert seen == every


def test_valid_tells_true_from_one() -> None:
    knobs = MappingProxyType({"unroll": (1, 2), "online": (False, True)})
    template = Template("any", "softmax", "any", knobs, (), "")
    assert space.valid(template, {"unroll": 1, "online": True})
    assert not space.valid(template, {"unroll": True, "online": True})
    assert not space.valid(template, {"unroll": 1, "online": 1})
    assert not space.valid(template, {"unroll": 1})
