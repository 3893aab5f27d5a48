"""What was learnt of this machine, kept in one JSON file beside its identity.

A file that is broken, of another form or of another identity counts as absent: what it held is
learnt anew. Where it cannot be written, what was learnt lasts as long as the process.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from .regions import Sizes, TimedPoint, TunedRegion, learn

FORM = 1


@dataclass(frozen=True)
class KernelVerdict:
    """Whether a kernel gives what the op's formula gives, on this machine."""

    passed: bool
    detail: str
    """Empty, or what is wrong."""
    same_bits: bool = False
    """Whether it gave the very bits of the baseline on every check."""


@dataclass
class Learnt:
    """Verdicts and times of one identity."""

    file: Path
    identity: dict[str, str]
    verdicts: dict[str, KernelVerdict] = field(default_factory=dict)
    """By the kernel's key: its hash and dtype."""
    points: dict[str, list[TimedPoint]] = field(default_factory=dict)

    def keep(self) -> None:
        """Write the file in one step; nothing happens where that is not possible."""
        document = {
            "form": FORM,
            "identity": self.identity,
            "verdicts": {key: asdict(verdict) for key, verdict in self.verdicts.items()},
            "points": {key: [asdict(p) for p in found] for key, found in self.points.items()},
        }
        part = self.file.with_suffix(f".{os.getpid()}.part")
        with contextlib.suppress(OSError):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(document, indent=1))
            part.replace(self.file)

    def add(self, key: str, found: Iterable[TimedPoint]) -> None:
        """Points of a kernel; of those at equal sizes the new ones count."""
        before = {tuple(p.axes.items()): p for p in self.points.get(key, [])}
        now = {tuple(p.axes.items()): p for p in found}
        self.points[key] = list({**before, **now}.values())


@dataclass
class Regions:
    """The boxes of every kernel, made when they are first asked for."""

    learnt: Learnt
    allowed: Callable[[str], Callable[[Sizes], bool]]
    """For a kernel's key, whether its op has some sizes."""

    def of(self, key: str) -> tuple[TunedRegion, ...] | None:
        """Where a kernel wins; None: it was never timed here."""
        if key not in self.learnt.points:
            return None
        if key not in self._found:
            self._found[key] = learn(self.learnt.points[key], self.allowed(key))
        return self._found[key]

    @cached_property
    def _found(self) -> dict[str, tuple[TunedRegion, ...]]:
        return {}


def read(file: Path, identity: dict[str, str]) -> Learnt:
    """What is on file for an identity, or nothing."""
    try:
        document = json.loads(file.read_text())
        if document["form"] != FORM or document["identity"] != identity:
            return Learnt(file, identity)
        verdicts = {k: KernelVerdict(**v) for k, v in document["verdicts"].items()}
        points = {k: [_point(p) for p in found] for k, found in document["points"].items()}
        return Learnt(file, identity, verdicts, points)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Learnt(file, identity)


def _point(found: dict[str, Any]) -> TimedPoint:
    axes = {str(name): int(size) for name, size in found.pop("axes").items()}
    numbers = {name: float(found.pop(name)) for name in ("speedup", "low", "high", "chance")}
    return TimedPoint(axes=axes, same_bits=bool(found.pop("same_bits")), **numbers)
