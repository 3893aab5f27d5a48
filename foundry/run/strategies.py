"""Ways to choose the next point of some knob spaces. Pure: randomness is handed in.

Each strategy answers with a point nobody took yet, or None when it has none to offer.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from templates import space
from templates.template import Template, Value

_TRIES = 32
_PARENTS = 4
"""Mutation moves one of this many best, the better ones more often."""
_ELITE, _LEAST_WEIGHT = 8, 0.25
"""The cross-entropy method learns from so many best; a value that none of them has weighs this."""


@dataclass(frozen=True)
class PointChoice:
    """A template at one point of its knob space."""

    template: Template
    knobs: tuple[tuple[str, Value], ...]

    @property
    def point(self) -> dict[str, Value]:
        """The knob values by name."""
        return dict(self.knobs)

    def __str__(self) -> str:
        values = " ".join(
            f"{knob}={str(v).lower() if isinstance(v, bool) else v}" for knob, v in self.knobs
        )
        return f"{self.template.name} {values}".rstrip()


@dataclass(frozen=True)
class Situation:
    """What a strategy may look at."""

    templates: Sequence[Template]
    rng: random.Random
    taken: Callable[[PointChoice], bool]
    covering: Iterator[PointChoice]
    """Points that together use every knob value, the starting points first."""
    best: Sequence[PointChoice]
    """Proven choices, best first."""


Strategy = Callable[[Situation], PointChoice | None]


def choice(template: Template, point: Mapping[str, Value]) -> PointChoice:
    """A point as a value that can be compared and hashed."""
    return PointChoice(template, tuple((knob, point[knob]) for knob in template.knobs))


def covering_choices(templates: Sequence[Template], rng: random.Random) -> Iterator[PointChoice]:
    """Starting points of all templates, then points that use every value of every knob."""
    lists = [_covering(template, rng) for template in templates]
    for row in itertools.zip_longest(*lists):
        yield from (found for found in row if found is not None)


def coverage(situation: Situation) -> PointChoice | None:
    """The next point of the covering set; afterwards none."""
    return next((c for c in situation.covering if not situation.taken(c)), None)


def random_point(situation: Situation) -> PointChoice | None:
    """Any template with the same chance, then any point of it."""
    for _ in range(_TRIES):
        template = situation.rng.choice(situation.templates)
        drawn = choice(template, space.sample(template, situation.rng))
        if not situation.taken(drawn):
            return drawn
    return None


def mutation(situation: Situation) -> PointChoice | None:
    """A neighbour of one of the best: one knob moved one step."""
    parents = list(situation.best[:_PARENTS])
    while parents:
        weights = [1 / (rank + 1) for rank in range(len(parents))]
        parent = situation.rng.choices(parents, weights)[0]
        near = [choice(parent.template, p) for p in space.neighbours(parent.template, parent.point)]
        free = [c for c in near if not situation.taken(c)]
        if free:
            return situation.rng.choice(free)
        parents.remove(parent)
    return None


def cross_entropy(situation: Situation) -> PointChoice | None:
    """A point whose values are drawn from those of the best, each knob by itself.

    The cross-entropy method over discrete knobs: every value counts as often as the elite has it,
    and a little more, so that none dies out.
    """
    elite = list(situation.best[:_ELITE])
    for _ in range(_TRIES if elite else 0):
        template = situation.rng.choice(elite).template
        points = [c.point for c in elite if c.template is template]
        drawn = {knob: _drawn(situation.rng, knob, template, points) for knob in template.knobs}
        found = choice(template, drawn)
        if space.valid(template, drawn) and not situation.taken(found):
            return found
    return None


def _drawn(
    rng: random.Random, knob: str, template: Template, points: Sequence[Mapping[str, Value]]
) -> Value:
    values = template.knobs[knob]
    weights = [_LEAST_WEIGHT + sum(p[knob] == value for p in points) for value in values]
    return rng.choices(values, weights)[0]


def any_left(situation: Situation) -> PointChoice | None:
    """The first point nobody took, in the order of the spaces."""
    every = (choice(t, point) for t in situation.templates for point in space.points(t))
    return next((c for c in every if not situation.taken(c)), None)


STRATEGIES: Mapping[str, tuple[Strategy, ...]] = {
    "coverage": (coverage,),
    "random": (random_point,),
    "mutation": (mutation,),
    "cross-entropy": (cross_entropy,),
    "mix": (coverage, mutation, random_point, cross_entropy),
}
"""Strategies by name: what takes its turn after what."""

FALLBACK: tuple[Strategy, ...] = (coverage, random_point, any_left)
"""Asked in this order when the strategy whose turn it is has nothing to offer."""


def _covering(template: Template, rng: random.Random) -> list[PointChoice]:
    found = [choice(template, p) for p in space.coverage(template, rng) if space.valid(template, p)]
    return found or [choice(template, p) for p in itertools.islice(space.points(template), 1)]
