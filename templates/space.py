"""Points of a template's knob space. Pure: randomness is handed in."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence

from templates.template import Template, Value

Point = Mapping[str, Value]

_REJECTIONS = 64


def default(template: Template) -> Point:
    """The starting point: the first value of every knob."""
    return {knob: values[0] for knob, values in template.knobs.items()}


def valid(template: Template, point: Point) -> bool:
    """Whether the point gives every knob one of its values and meets every constraint."""
    return (
        point.keys() == template.knobs.keys()
        and all(valid_value(template.knobs[knob], value) for knob, value in point.items())
        and template.broken_constraint(point) is None
    )


def valid_value(known: Sequence[Value], value: Value) -> bool:
    """Whether a value is one of a knob's; `1` and `true` are different values."""
    return _index(known, value) is not None


def points(template: Template) -> Iterator[Point]:
    """Every valid point once, the default first."""
    for values in itertools.product(*template.knobs.values()):
        point = dict(zip(template.knobs, values, strict=True))
        if template.broken_constraint(point) is None:
            yield point


def count(template: Template, most: int) -> int:
    """How many valid points there are, counted up to a limit: some spaces have millions."""
    return sum(1 for _ in itertools.islice(points(template), most))


def neighbours(template: Template, point: Point) -> tuple[Point, ...]:
    """Valid points that differ in one knob by one step.

    A step that a constraint excludes is lengthened to the next valid value in its direction, so
    the relation is symmetric.
    """
    found: list[Point] = []
    for knob, values in template.knobs.items():
        at = _index(values, point[knob])
        if at is None:
            continue
        for way in (values[at + 1 :], values[:at][::-1]):
            moved = ({**point, knob: value} for value in way)
            found += itertools.islice((p for p in moved if valid(template, p)), 1)
    return tuple(found)


def sample(template: Template, rng: random.Random) -> Point:
    """A valid point, each with the same chance."""
    for _ in range(_REJECTIONS):
        point = {knob: rng.choice(values) for knob, values in template.knobs.items()}
        if template.broken_constraint(point) is None:
            return point
    return rng.choice(list(points(template)))


def coverage(template: Template, rng: random.Random) -> tuple[Point, ...]:
    """A short list of valid points, the default first, that uses every value of every knob.

    Values that no valid point has are left out. Each next point is the one, of a few drawn at
    random, that uses most of the values not yet used.
    """
    every = list(points(template))
    chosen: list[Point] = [default(template)]
    missing = {pair for point in every for pair in point.items()}
    missing -= set(chosen[0].items())
    while missing:
        knob, value = min(missing, key=lambda pair: (pair[0], str(pair[1])))
        having = [p for p in every if p[knob] == value]
        drawn = rng.sample(having, min(len(having), _REJECTIONS))
        best = max(drawn, key=lambda p: len(missing & set(p.items())))
        chosen.append(best)
        missing -= set(best.items())
    return tuple(chosen)


def _index(values: Sequence[Value], value: Value) -> int | None:
    for position, known in enumerate(values):
        if known == value and type(known) is type(value):
            return position
    return None
