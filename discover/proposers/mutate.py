"""The offline proposer: knob moves, other templates, rewrites, crossover. No key, no network.

For one parent it draws kinds of moves by weight and takes each kind's candidates in random order
until one is new to the search. A parent with nothing new left is exhausted. Equal seeds and equal
histories give equal proposals.
"""

from __future__ import annotations

import random
from ast import literal_eval
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from discover.proposers import crossover
from discover.proposers.rewrites import Rewrite, Variant, all_rewrites
from discover.protocol import (
    Context,
    Failure,
    FailureKind,
    ProposerOptions,
    Reply,
    Request,
)
from foundry.errors import InvalidKernel
from foundry.kernel import Kernel, check, parse, render
from foundry.prompts.assignment import Attempt
from ops.spec import Op
from templates import registry, space
from templates.render import render as fill
from templates.space import Point
from templates.template import Template

MAX_JUMPS = 64
"""Points of one template drawn for one proposal before the move counts as used up."""
_LONGEST_CHAIN = 6
"""Rewrites upon rewrites; further ones start from an earlier kernel."""


@dataclass(frozen=True)
class Mutation:
    """A kernel that may be proposed, and how it came to be."""

    kernel: Kernel
    label: str
    detail: Mapping[str, Any]


Move = Iterator[Mutation]


class MutateProposer:
    """Moves knobs and rewrites text."""

    name = "mutate"
    model: str | None = None
    may_repair = False
    remote = False

    def request(self, context: Context) -> Request | Failure:
        """A kernel that the search has not seen, derived from the parent."""
        rng = random.Random(context.seed)
        moves = _moves(context, rng)
        if not moves:
            return Failure(
                FailureKind.FINISHED,
                f"mutate has no template for {context.op.name} and no kernel to start from; "
                "write a template, or ask an LLM with --llm",
            )
        while moves:
            names = sorted(moves)
            name = rng.choices(names, [_WEIGHTS[n] for n in names])[0]
            candidate = next(moves[name], None)
            if candidate is None:
                del moves[name]
            elif _is_fresh(candidate.kernel, context):
                detail = {"move": name, "label": candidate.label, **candidate.detail}
                return Request(
                    self.name, None, {"kernel": render(candidate.kernel), "detail": detail}
                )
        return Failure(FailureKind.EXHAUSTED, "every move from this kernel was made")

    def send(self, request: Request, timeout_s: float) -> Reply | Failure:
        """The kernel of the request."""
        return Reply(request.body["kernel"], detail=request.body["detail"])

    def close(self) -> None:
        """Nothing to give back."""


def make(model: str | None, options: ProposerOptions) -> MutateProposer:
    """The offline proposer; it takes no model."""
    return MutateProposer()


def _moves(context: Context, rng: random.Random) -> dict[str, Move]:
    templates = registry.for_op(context.op.name)
    own, point = _place(context.parent, templates)
    chain = _chain(context.parent)
    moves: dict[str, Move] = {}
    if templates:
        others = [t for t in templates if t is not own] or list(templates)
        moves["template"] = _elsewhere(others, rng)
    if own is not None and point is not None:
        moves["knob"] = _rewritten_again(_neighbours(own, point, rng), chain, context.op)
        moves["jump"] = _rewritten_again(_jumps(own, rng), chain, context.op)
    if context.parent is not None and len(chain) < _LONGEST_CHAIN:
        moves["rewrite"] = _rewrites(context, chain, rng)
        if context.relatives:
            moves["cross"] = _crossed(context, rng)
    return moves


def _place(
    parent: Attempt | None, templates: tuple[Template, ...]
) -> tuple[Template | None, Point | None]:
    """Template and point that a parent came from, whatever rewrites it went through since."""
    if parent is None:
        return None, None
    name, knobs = parent.detail.get("template"), parent.detail.get("knobs")
    for template in templates:
        if template.name == name and knobs is not None and space.valid(template, knobs):
            return template, knobs
    return None, None


def _chain(parent: Attempt | None) -> tuple[str, ...]:
    """The rewrites that a parent went through, oldest first."""
    return tuple(parent.detail.get("rewrites", ())) if parent is not None else ()


def _neighbours(template: Template, point: Point, rng: random.Random) -> Move:
    found = list(space.neighbours(template, point))
    rng.shuffle(found)
    for moved in found:
        steps = [f"{k} {point[k]} -> {v}" for k, v in moved.items() if point[k] != v]
        yield _filled(template, moved, ", ".join(steps))


def _jumps(template: Template, rng: random.Random) -> Move:
    for _ in range(MAX_JUMPS):
        yield _filled(template, space.sample(template, rng))


def _elsewhere(templates: list[Template], rng: random.Random) -> Move:
    for template in templates:
        yield _filled(template, space.default(template))
    for _ in range(MAX_JUMPS):
        template = rng.choice(templates)
        yield _filled(template, space.sample(template, rng))


def _filled(template: Template, point: Point, label: str = "") -> Mutation:
    knobs = " ".join(f"{name}={value}" for name, value in point.items())
    kernel = _kernel_at(template, tuple((name, repr(value)) for name, value in point.items()))
    detail = {"template": template.name, "knobs": dict(point)}
    return Mutation(kernel, label or f"{template.name} {knobs}", detail)


@lru_cache(maxsize=1024)
def _kernel_at(template: Template, point: tuple[tuple[str, str], ...]) -> Kernel:
    """The kernel at a point, its values as Python writes them: 1 and True are two values."""
    return parse(fill(template, {name: literal_eval(value) for name, value in point}))


def _rewritten_again(points: Move, chain: tuple[str, ...], op: Op) -> Move:
    """Points with the rewrites of the parent, as far as each still applies.

    Knobs and rewrites are one space: without that, the first rewrite would end the search for the
    number of threads that suits it.
    """
    for moved in points:
        kernel, done = moved.kernel, []
        for entry in chain:
            variant = next(crossover.rewritten_like(kernel, [entry], op), None)
            if variant is not None:
                kernel = variant.kernel
                done.append(entry)
        detail = {**moved.detail, "rewrites": done} if done else moved.detail
        yield Mutation(kernel, moved.label, detail)


def _rewrites(context: Context, chain: tuple[str, ...], rng: random.Random) -> Move:
    """Rewrites of the parent: each kind in turn gives one variant, until none has any left."""
    assert context.parent is not None
    kernel = parse(context.parent.text)
    drawn = {
        name: _shuffled(rewrite, kernel, context.op, rng)
        for name, rewrite in all_rewrites().items()
    }
    inherited = {k: v for k, v in context.parent.detail.items() if k in ("template", "knobs")}
    while drawn:
        name = rng.choice(sorted(drawn))
        variant = next(drawn[name], None)
        if variant is None:
            del drawn[name]
        else:
            done = [*chain, f"{name}: {variant.label}"]
            yield Mutation(variant.kernel, variant.label, {**inherited, "rewrites": done})


def _crossed(context: Context, rng: random.Random) -> Move:
    """The parent with something of each other good kernel, those in random order."""
    parent, templates = context.parent, registry.for_op(context.op.name)
    assert parent is not None
    own, point = _place(parent, templates)
    for other in rng.sample(context.relatives, len(context.relatives)):
        theirs, their_point = _place(other, templates)
        if own is not None and own is theirs and point is not None and their_point is not None:
            mixed = crossover.knobs(point, their_point, rng)
            points = (_filled(own, one) for one in mixed if space.valid(own, one))
            yield from _rewritten_again(points, _chain(parent), context.op)
        yield from _grafted(parent, other, context.op, rng)


def _grafted(parent: Attempt, other: Attempt, op: Op, rng: random.Random) -> Move:
    chain = _chain(parent)
    inherited = {k: v for k, v in parent.detail.items() if k in ("template", "knobs")}
    for variant in crossover.texts(parent, other, op, rng):
        done = [*chain, f"cross: {variant.label}"]
        yield Mutation(variant.kernel, variant.label, {**inherited, "rewrites": done})


def _shuffled(rewrite: Rewrite, kernel: Kernel, op: Op, rng: random.Random) -> Iterator[Variant]:
    """Variants in random order; nothing is rewritten before the first is drawn."""
    variants = list(rewrite(kernel, op))
    rng.shuffle(variants)
    yield from variants


def _is_fresh(kernel: Kernel, context: Context) -> bool:
    """Whether it is new to the search and of the op; what does not read back is neither."""
    try:
        if context.seen(kernel):
            return False
        check(parse(render(kernel)), context.op)
    except InvalidKernel:
        return False
    return True


_WEIGHTS: Mapping[str, float] = {
    "knob": 4.0, "jump": 2.0, "template": 1.5, "rewrite": 3.0, "cross": 1.5,
}  # fmt: skip
