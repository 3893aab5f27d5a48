"""A capsule: one measurement with all that is needed to repeat it and to trust it.

It holds the raw samples, the environment, and hashes of what was measured; its own hash covers all
of it, so that a capsule that was changed says so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from foundry.errors import UsageError, first_line
from foundry.judge.verdict import Record

FORM = 1


class Capsule(Record):
    """One measurement."""

    form: int = FORM
    kind: str
    """`validation` or `evaluation`."""
    device: dict[str, Any]
    environment: dict[str, Any]
    hashes: dict[str, str]
    """Of everything that was measured: weights, catalog, kernel."""
    document: dict[str, Any]
    """The record itself, raw samples included."""
    command: str
    """What repeats it."""

    @property
    def hash(self) -> str:
        """Of all of it."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def render(capsule: Capsule) -> str:
    """The text of its file."""
    return json.dumps({"hash": capsule.hash, **capsule.model_dump(mode="json")}, indent=1) + "\n"


def read(path: Path) -> Capsule:
    """A capsule from its file.

    Raises:
        UsageError: Not a capsule, or one that was changed after it was written.
    """
    try:
        found = json.loads(path.read_text())
        stated = found.pop("hash")
        capsule = Capsule(**found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"{path} is no capsule ({first_line(error)}); write one: foundry capsule write"
        ) from error
    if capsule.hash != stated:
        raise UsageError(f"{path} was changed after it was written: its hash does not hold")
    return capsule


def differences(a: Capsule, b: Capsule) -> list[tuple[str, str, str]]:
    """Every leaf in which two capsules differ: its path and both values; samples as a whole."""
    left, right = (dict(_leaves(c.model_dump(mode="json"))) for c in (a, b))
    paths = dict.fromkeys([*left, *right])
    return [
        (path, left.get(path, "-"), right.get(path, "-"))
        for path in paths
        if left.get(path) != right.get(path)
    ]


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        for number, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{number}]")
    elif isinstance(value, list):
        yield path, f"{len(value)} samples {_digest(value)}"
    else:
        yield path, str(value)


def _digest(values: list[Any]) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:8]
