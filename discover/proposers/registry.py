"""Proposers by name: built in, or added by an installed package. Imported when they are asked for.

A package adds one through the entry point group `metal_foundry.proposers`: the entry's name is the
proposer's, its value a function from a model's name (or None) and the options to a `Proposer`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import EntryPoint
from typing import cast

from discover.protocol import Proposer, ProposerOptions
from foundry.errors import UsageError, unknown
from ops import plugins

NAMES = {
    "mutate": "discover.proposers.mutate:make",
    "anthropic": "discover.proposers.anthropic:make",
    "openai": "discover.proposers.openai:make",
    "openai-chat": "discover.proposers.openai_chat:make",
    "replay": "discover.proposers.replay:make",
}
ENTRY_POINT_GROUP = "metal_foundry.proposers"

Maker = Callable[[str | None, ProposerOptions], Proposer]


def make(spec: str, options: ProposerOptions | None = None) -> Proposer:
    """A proposer from `NAME` or `NAME:MODEL`; for replay, `replay:FILE`.

    Raises:
        UsageError: Unknown name, or a missing model or file.
        EnvironmentUnusable: No key for a named LLM, or a package whose proposer is broken.
    """
    check(spec)
    name, _, argument = spec.partition(":")
    given = (argument or None, options or ProposerOptions())
    if name in NAMES:
        return _built_in(NAMES[name])(*given)
    points = _points()
    maker = cast(Maker, plugins.load(points[name], "proposer"))
    proposer: object = maker(*given)
    if not isinstance(proposer, Proposer):
        raise plugins.broken(
            points[name], "proposer", "lacks members of discover.protocol.Proposer"
        )
    return proposer


def check(spec: str) -> None:
    """See that there is such a proposer; nothing is imported, nobody asked.

    Raises:
        UsageError: There is none; carries the nearest.
    """
    name, points = spec.partition(":")[0], _points()
    if name not in NAMES and name not in points:
        raise unknown("proposer", name, [*NAMES, *points])


@contextmanager
def proposers_of(specs: Sequence[str], options: ProposerOptions) -> Iterator[tuple[Proposer, ...]]:
    """Make proposers, and close them at the end.

    Raises:
        UsageError: An unknown proposer, or one named twice.
        EnvironmentUnusable: No key for a named LLM.
    """
    with ExitStack() as stack:
        found: list[Proposer] = []
        for spec in specs:
            proposer = make(spec, options)
            stack.callback(proposer.close)
            if proposer.name in {other.name for other in found}:
                raise UsageError(f"proposer '{proposer.name}' is named twice; name it once")
            found.append(proposer)
        yield tuple(found)


def _points() -> Mapping[str, EntryPoint]:
    return plugins.points(ENTRY_POINT_GROUP, "proposer", NAMES)


def _built_in(path: str) -> Maker:
    module, _, attribute = path.partition(":")
    return cast(Maker, getattr(importlib.import_module(module), attribute))
