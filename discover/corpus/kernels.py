"""Distinct kernels of one op, in an order that a seed decides: templates, and what is made of them.

Points of the knob spaces come first as they use new values, then at random; between them come
rewrites of what came before, and rewrites of those. No two have the same normal form.
"""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from discover.proposers.rewrites import all_rewrites
from foundry.errors import InvalidKernel
from foundry.kernel import Kernel, check, parse, render
from foundry.kernel.normal_form import kernel_tokens
from foundry.run.strategies import PointChoice, choice, covering_choices
from foundry.store.records import Origin
from ops.spec import Op
from templates import registry, space
from templates.render import render as fill
from templates.template import Template

_REWRITES_FOR_A_POINT = 3
_LONGEST_CHAIN = 3
_MOST_POINTS = 4096
"""Of one template; beyond, a space is not looked at."""


@dataclass(frozen=True)
class Made:
    """A kernel that nobody has judged yet."""

    text: str
    kernel: Kernel
    origin: Origin
    parent: str | None
    """Hash of what it was rewritten from."""


def kernels(op: Op, seed: int) -> Iterator[Made]:
    """Every kernel that can be made of an op, each once; the same for the same seed."""
    rng = random.Random(f"{seed} {op.name}")
    met: set[tuple[str, ...]] = set()
    sources: deque[Iterator[Made]] = deque()
    points = _points(registry.for_op(op.name), rng)
    while True:
        found = next(points, None)
        fresh = [] if found is None else [_filled(found)]
        fresh += _rewritten(sources, _REWRITES_FOR_A_POINT)
        if not fresh:
            return
        for made in fresh:
            form = _form(made.text, op)
            if form is not None and form not in met:
                met.add(form)
                sources.append(_rewrites(made, op, rng))
                yield made


def _points(templates: Sequence[Template], rng: random.Random) -> Iterator[PointChoice]:
    yield from covering_choices(templates, rng)
    spaces = []
    for template in templates:
        every = [
            choice(template, p) for p in itertools.islice(space.points(template), _MOST_POINTS)
        ]
        rng.shuffle(every)
        spaces.append(every)
    for row in itertools.zip_longest(*spaces):
        yield from (found for found in row if found is not None)


def _filled(found: PointChoice) -> Made:
    kernel = parse(fill(found.template, found.point))
    origin = Origin("template", found.template.name, {"knobs": found.point})
    return Made(render(kernel), kernel, origin, None)


def _rewritten(sources: deque[Iterator[Made]], count: int) -> list[Made]:
    """The next rewrites, one of each source in turn; a source without any is dropped."""
    found: list[Made] = []
    while sources and len(found) < count:
        source = sources.popleft()
        made = next(source, None)
        if made is not None:
            found.append(made)
            sources.append(source)
    return found


def _rewrites(source: Made, op: Op, rng: random.Random) -> Iterator[Made]:
    """Every rewrite of a kernel in random order; those of a long chain are not gone on with."""
    chain = list(source.origin.detail.get("rewrites", ()))
    if len(chain) >= _LONGEST_CHAIN:
        return
    names = list(all_rewrites())
    rng.shuffle(names)
    for name in names:
        for variant in all_rewrites()[name](source.kernel, op):
            done = [*chain, f"{name}: {variant.label}"]
            detail = {**source.origin.detail, "move": "rewrite", "rewrites": done}
            origin = Origin("proposer", "mutate", detail)
            yield Made(render(variant.kernel), variant.kernel, origin, source.kernel.hash)


def _form(text: str, op: Op) -> tuple[str, ...] | None:
    """The normal form of a kernel that may be judged; None where it breaks a rule."""
    try:
        kernel = parse(text)
        check(kernel, op)
    except InvalidKernel:
        return None
    return tuple(kernel_tokens(kernel))
