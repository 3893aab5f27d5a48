"""Which variants to judge, in which order. Pure: no clock, no database, no process.

1. A `Plan` orders the variants of one task (an op in one dtype); a `Schedule` takes turns between
   plans until a budget is used up.
2. Position n of a plan depends on the seed and on the scores of positions up to n - LAG alone,
   however many evaluations are in flight and whoever finishes first. So the same command meets
   the same variants again, and finds them in the database.
3. A variant that renders to the kernel of an earlier one is passed over and takes no position.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from foundry.errors import InvalidKernel, UsageError, unknown
from foundry.kernel import Kernel, parse, text_hash
from foundry.run.strategies import (
    FALLBACK,
    STRATEGIES,
    PointChoice,
    Situation,
    covering_choices,
)
from ops.spec import Op
from templates import space
from templates.render import render
from templates.template import Template, Value

LAG = 8
"""Positions between a variant and the scores it may use: room for as many in flight."""
_PATIENCE, _GAIN = 16, 1.02
"""A plan is flat when so many positions in a row gained less than 2 %."""


@dataclass(frozen=True)
class PlannedVariant:
    """A kernel to judge: its text, and where it came from."""

    op: Op
    dtype: str
    choice: PointChoice
    text: str
    kernel: Kernel | None
    """None when the template rendered a text that is no kernel of this op."""

    @property
    def hash(self) -> str:
        """Identity, as the judge gives it: of the kernel, else of the text."""
        if self.kernel is not None:
            return self.kernel.hash
        return text_hash(self.text)


class Plan:
    """The variants of one op in one dtype, in order."""

    def __init__(
        self,
        op: Op,
        dtype: str,
        templates: Sequence[Template],
        strategy: str,
        seed: int,
        points: int | None = None,
    ) -> None:
        """Start a plan.

        Args:
            op: What the variants compute.
            dtype: Element type of the workloads.
            templates: Where variants come from, the starting template first.
            strategy: A name of `STRATEGIES`.
            seed: Two plans of one seed are equal.
            points: Variants of each template, on average; None: all there are, and the plan may
                be flat before.

        Raises:
            UsageError: No template, or an unknown strategy.
        """
        if strategy not in STRATEGIES:
            raise unknown("strategy", strategy, STRATEGIES)
        if not templates:
            raise UsageError(f"no template for op '{op.name}'; see docs/write-a-template.md")
        self.op = op
        self.dtype = dtype
        self._templates = tuple(templates)
        self._turns = STRATEGIES[strategy]
        self._most = None if points is None else points * len(templates)
        self._rng = random.Random(f"{seed} {op.name} {dtype}")
        self._covering = covering_choices(self._templates, self._rng)
        self._taken: set[PointChoice] = set()
        self._hashes: set[str] = set()
        self._order: list[PointChoice] = []
        self._scores: dict[int, float | None] = {}
        self._settled = 0

    @property
    def ready(self) -> bool:
        """Whether every score that the next position depends on is known."""
        return self._settled >= len(self._order) - LAG + 1

    def take(self) -> tuple[int, PlannedVariant] | None:
        """The next position and its variant; None when the knob spaces are used up."""
        while not self._full and (chosen := self._choose()) is not None:
            self._taken.add(chosen)
            variant = self._variant(chosen)
            if variant.hash in self._hashes:
                continue
            self._hashes.add(variant.hash)
            self._order.append(chosen)
            return len(self._order) - 1, variant
        return None

    @property
    def _full(self) -> bool:
        return self._most is not None and len(self._order) >= self._most

    @property
    def is_flat(self) -> bool:
        """Whether the last positions whose scores may be used brought no gain.

        Never where so many points are to be proven: nothing is timed there.
        """
        if self._most is not None:
            return False
        scores = [self._scores.get(position) or 0.0 for position in self._usable]
        if len(scores) < _PATIENCE:
            return False
        before = max(scores[:-_PATIENCE], default=0.0)
        return max(scores[-_PATIENCE:]) <= before * _GAIN

    def learn(self, position: int, score: float | None) -> None:
        """Note the score of a position; None for a kernel that did not pass."""
        self._scores[position] = score
        while self._settled in self._scores:
            self._settled += 1

    def _choose(self) -> PointChoice | None:
        situation = Situation(
            self._templates, self._rng, self._taken.__contains__, self._covering, self._best()
        )
        turn = self._turns[len(self._order) % len(self._turns)]
        for strategy in (turn, *FALLBACK):
            if (chosen := strategy(situation)) is not None:
                return chosen
        return None

    @property
    def _usable(self) -> range:
        """Positions whose scores the next one may depend on."""
        return range(max(0, len(self._order) - LAG + 1))

    def _best(self) -> list[PointChoice]:
        proven = [(s, i) for i in self._usable if (s := self._scores.get(i)) is not None]
        return [self._order[i] for _, i in sorted(proven, key=lambda pair: (-pair[0], pair[1]))]

    def _variant(self, chosen: PointChoice) -> PlannedVariant:
        text = render(chosen.template, chosen.point)
        try:
            kernel = parse(text)
        except InvalidKernel:
            return PlannedVariant(self.op, self.dtype, chosen, text, None)
        own = kernel if kernel.op == self.op.name else None
        return PlannedVariant(self.op, self.dtype, chosen, text, own)


@dataclass(frozen=True)
class Slot:
    """A place in the schedule, and what is judged there."""

    plan: int
    position: int
    variant: PlannedVariant


class Schedule:
    """Plans that take turns until the budget is used up: all of them, or lesson by lesson."""

    def __init__(
        self, plans: Sequence[Plan], budget: int | None, lessons: Sequence[int] = ()
    ) -> None:
        """Start a schedule.

        Args:
            plans: At least one.
            budget: Slots in all; None: until every plan is used up.
            lessons: Number of each plan's lesson. The plans of the lowest take turns until they are
                flat or used up, then those of the next. Empty: all take turns until used up.
        """
        self.plans = tuple(plans)
        self.budget = budget
        self.taken = 0
        self._ends_flat = bool(lessons)
        numbers = lessons or [0] * len(plans)
        self._lessons = [
            [plan for plan, number in enumerate(numbers) if number == lesson]
            for lesson in sorted(set(numbers))
        ]

    @property
    def exhausted(self) -> bool:
        """Whether `take` has nothing more to give."""
        return not self._lessons or (self.budget is not None and self.taken >= self.budget)

    @property
    def ready(self) -> bool:
        """Whether the plan whose turn it is knows all it needs."""
        return not self.exhausted and self.plans[self._lessons[0][0]].ready

    def take(self) -> Slot | None:
        """The next slot; None when everything is used up, or the next waits for a score."""
        while self.ready:
            turns = self._lessons[0]
            plan = turns.pop(0)
            if (found := self._next(self.plans[plan])) is not None:
                turns.append(plan)
                self.taken += 1
                return Slot(plan, *found)
            if not turns:
                del self._lessons[0]
        return None

    def _next(self, plan: Plan) -> tuple[int, PlannedVariant] | None:
        return None if self._ends_flat and plan.is_flat else plan.take()

    def learn(self, slot: Slot, score: float | None) -> None:
        """Note the score of a slot."""
        self.plans[slot.plan].learn(slot.position, score)


def narrow(
    templates: Sequence[Template], names: Sequence[str], knobs: Mapping[str, str]
) -> tuple[Template, ...]:
    """Templates of those names, with some knobs held at one value.

    Templates without one of the knobs are left out, as are those that have no valid point left.

    Args:
        templates: Those of the ops in question.
        names: Names to keep; empty: all.
        knobs: Text of a value by knob.

    Raises:
        UsageError: A name that none of the templates has, an unknown knob or value.
    """
    known = [template.name for template in templates]
    for name in names:
        if name not in known:
            raise unknown("template of these ops", name, known)
    kept = [t for t in templates if not names or t.name in names]
    for knob, text in knobs.items():
        having = [t for t in kept if knob in t.knobs]
        if not having:
            raise unknown("knob", knob, {name for t in kept for name in t.knobs})
        values = list(dict.fromkeys(v for t in having for v in t.knobs[knob]))
        if text not in map(_spelt, values):
            raise unknown(f"value of knob {knob}", text, map(_spelt, values))
        kept = [_hold(t, knob, text) for t in having if text in map(_spelt, t.knobs[knob])]
    found = tuple(t for t in kept if next(space.points(t), None) is not None)
    if not found:
        raise UsageError(
            "no valid point has " + ", ".join(f"{knob}={text}" for knob, text in knobs.items())
        )
    return found


def _hold(template: Template, knob: str, text: str) -> Template:
    values = tuple(v for v in template.knobs[knob] if _spelt(v) == text)
    return replace(template, knobs={**template.knobs, knob: values})


def _spelt(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
