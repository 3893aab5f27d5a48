"""WHO suggests kernels. A name table; each proposer is imported only when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import cast

from discover.protocol import Proposer, ProposerOptions
from foundry.errors import UsageError, unknown

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
        EnvironmentUnusable: No key for a named LLM.
    """
    name, _, argument = spec.partition(":")
    points = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    if name not in NAMES and name not in points:
        raise unknown("proposer", name, [*NAMES, *points])
    maker = cast(Maker, points[name].load() if name in points else _load(NAMES[name]))
    proposer = maker(argument or None, options or ProposerOptions())
    if not isinstance(proposer, Proposer):
        raise UsageError(f"proposer '{name}' lacks members; see discover/protocol.py")
    return proposer


def _load(path: str) -> object:
    module, _, attribute = path.partition(":")
    return getattr(importlib.import_module(module), attribute)
