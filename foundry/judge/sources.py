"""Which programs compile from the same source, and a kernel's share of its sources.

An axis that is compiled in makes a source of each of its sizes; a source is built twice, once with
checks. Where many kernels of one template are proven, each is proven in a few of its sources, and
all of them together in every one.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from foundry.program import Launch, Program


def groups_of(programs: Sequence[Program]) -> tuple[int, ...]:
    """Number programs so that those which compile from the same source share a number.

    Sources that differ only in what is `constant` and what is `device` count as the same.
    """
    numbers: dict[tuple[object, ...], int] = {}
    return tuple(numbers.setdefault(_source_key(p), len(numbers)) for p in programs)


def share(shown: Sequence[Program], others: Sequence[Program], most: int, who: str) -> list[bool]:
    """Whether each program belongs to one kernel's share: `shown` first, then `others`.

    Args:
        shown: Programs for visible workloads: one source of theirs is in every share.
        others: All the rest.
        most: Sources in a share.
        who: The kernel's hash, which draws the share: the same for the same kernel.
    """
    numbers = groups_of((*shown, *others))
    rng = random.Random(who)
    first = rng.choice(sorted(set(numbers[: len(shown)] or numbers)))
    rest = sorted(set(numbers) - {first})
    chosen = {first, *rng.sample(rest, min(most - 1, len(rest)))}
    return [number in chosen for number in numbers]


def _source_key(program: Program) -> tuple[object, ...]:
    """Everything that reaches a compiler: of sizes, only how many there are."""
    arrays = {s.name: s for s in program.inputs}
    key: list[object] = []
    for launch in program.launches:
        inputs = tuple((len(arrays[n].shape), arrays[n].dtype) for n in launch.inputs)
        key.append((_sizeless(launch), inputs))
        arrays |= {s.name: s for s in launch.outputs}
    return tuple(key)


def _sizeless(launch: Launch) -> Launch:
    outputs = tuple(replace(s, shape=()) for s in launch.outputs)
    return replace(launch, outputs=outputs, grid=(1, 1, 1), threadgroup=(1, 1, 1))
