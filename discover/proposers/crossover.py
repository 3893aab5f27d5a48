"""Crossover: a kernel made of two good ones. Pure.

Two points of one template trade knobs. Of texts, the parent takes over what made the other one what
it is: the same rewrites, its way to launch, or some of its launches where both pass on the same
arrays. What does not fit together is no variant, or the judge's to find.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Sequence

from discover.proposers.rewrites import Variant, all_rewrites
from foundry.kernel import Kernel, KernelLaunch, parse
from foundry.prompts.assignment import Attempt
from ops.spec import Op
from templates.space import Point
from templates.template import Value

_DRAWS = 8


def knobs(one: Point, other: Point, rng: random.Random) -> Iterator[dict[str, Value]]:
    """Points that take each knob from either, and are neither."""
    differing = [name for name, value in one.items() if other.get(name) != value]
    if len(differing) < 2:
        return
    for _ in range(_DRAWS):
        taken = rng.sample(differing, rng.randrange(1, len(differing)))
        yield {name: other[name] if name in taken else value for name, value in one.items()}


def texts(parent: Attempt, other: Attempt, op: Op, rng: random.Random) -> Iterator[Variant]:
    """Kernels that the parent becomes with something of another one."""
    own, foreign = parse(parent.text), parse(other.text)
    found = [
        *_launched_like(own, foreign),
        *_with_launches(own, foreign),
        *rewritten_like(own, other.detail.get("rewrites", ()), op),
    ]
    rng.shuffle(found)
    yield from found


def _launched_like(own: Kernel, foreign: Kernel) -> Iterator[Variant]:
    """The parent's text under the other one's threadgroup, or its mode of mathematics."""
    if len(own.launches) != 1 or len(foreign.launches) != 1:
        return
    mine, theirs = own.launches[0], foreign.launches[0]
    if mine.threadgroup != theirs.threadgroup and mine.grid == theirs.grid:
        yield _changed(own, "the other's threadgroup", threadgroup=theirs.threadgroup)
    if mine.math_mode != theirs.math_mode:
        yield _changed(own, "the other's math_mode", math_mode=theirs.math_mode)


def _changed(own: Kernel, label: str, **changes: object) -> Variant:
    launch = dataclasses.replace(own.launches[0], lines={}, **changes)  # type: ignore[arg-type]
    return Variant(label, dataclasses.replace(own, launches=(launch,)))


def _with_launches(own: Kernel, foreign: Kernel) -> Iterator[Variant]:
    """One launch of the other in place of the parent's, where they pass on the same arrays."""
    same = own.temporaries == foreign.temporaries and own.header == foreign.header
    if not same or len(own.launches) != len(foreign.launches) or len(own.launches) < 2:
        return
    for index, (mine, theirs) in enumerate(zip(own.launches, foreign.launches, strict=True)):
        if mine != theirs and _arrays(mine) == _arrays(theirs):
            launches = (*own.launches[:index], theirs, *own.launches[index + 1 :])
            whole = dataclasses.replace(own, launches=launches)
            yield Variant(f"launch {index + 1} of the other", whole)


def _arrays(launch: KernelLaunch) -> tuple[object, object]:
    return launch.inputs, launch.outputs


def rewritten_like(own: Kernel, done: Sequence[str], op: Op) -> Iterator[Variant]:
    """Rewrites that another one went through, each done to a kernel where it applies."""
    for entry in done:
        name, _, label = entry.partition(": ")
        rewrite = all_rewrites().get(name)
        if rewrite is not None:
            yield from (v for v in rewrite(own, op) if v.label == label)
