"""A kernel that is wanted: of which op, from what, with what is known. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from foundry.judge.verdict import Evaluation
from foundry.program import Device
from foundry.store.records import Lesson
from ops.spec import Op
from ops.workload import Workload


@dataclass(frozen=True)
class Attempt:
    """A judged kernel, as a proposer sees it."""

    text: str
    evaluation: Evaluation
    detail: Mapping[str, Any] = field(default_factory=dict)
    """How it came to be: template and knobs, a rewrite, a model."""


@dataclass(frozen=True)
class Assignment:
    """What a model is asked for, and told."""

    op: Op
    dtype: str
    device: Device
    parent: Attempt | None = None
    """The kernel to improve, or to repair when it failed; None to write one from scratch."""
    timed: tuple[Workload, ...] = ()
    """The bench workloads that count."""
    failures: tuple[Attempt, ...] = ()
    """Failed children of the parent, the latest first."""
    slower: tuple[Attempt, ...] = ()
    """Children of the parent that are right, but no faster, the latest first."""
    repeated: tuple[Attempt, ...] = ()
    """Kernels known before that were proposed again from the parent, the latest first."""
    relatives: tuple[Attempt, ...] = ()
    """Best other kernels of the search, the best first."""
    lessons: tuple[Lesson, ...] = ()
    """What made kernels of this family faster on this device."""
    turn: int = 0
    """How many proposals this proposer made in this search before."""
