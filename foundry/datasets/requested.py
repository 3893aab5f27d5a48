"""Sizes that somebody asked to have timed: everybody may see them, as they may the bench cases.

A search of a model's ops times them where the model spends its time. What is timed is no secret;
what kernels are only proven on beyond the lists of the op is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from foundry.datasets.leaks import public_workloads
from foundry.errors import UsageError
from foundry.store.records import StoredEvaluation
from ops.declaring.cases import at_shapes
from ops.registry import all_ops
from ops.spec import Op
from ops.workload import Workload

KEY = "timed_by_request"
"""In `metadata.json`: ids of the workloads of its rows that are none of their op's."""


def workloads(op: Op, stored: StoredEvaluation) -> tuple[Workload, ...]:
    """What the run of an evaluation was told to time, as far as the op has such sizes today."""
    found: list[Workload] = []
    for sizes in stored.shapes:
        with suppress(UsageError):
            found += at_shapes(op, [sizes]).workloads("bench", stored.evaluation.dtype)
    return tuple(found)


def names(stored: StoredEvaluation) -> frozenset[str]:
    """Ids of what was timed, or was to be, and is none of the op's own workloads."""
    evaluation = stored.evaluation
    op = all_ops().get(evaluation.op)
    asked = workloads(op, stored) if op else ()
    found = {*(one.id for one in asked), *(timing.workload for timing in evaluation.timings)}
    return frozenset(found - public_workloads(evaluation.op))


@dataclass
class Requested:
    """Gathers the names of all evaluations that an export reads."""

    found: set[str] = field(default_factory=set)

    def over(self, evaluations: Iterable[StoredEvaluation]) -> Iterator[StoredEvaluation]:
        """The same evaluations."""
        for stored in evaluations:
            self.found |= names(stored)
            yield stored

    def facts(self) -> dict[str, Any]:
        """For `metadata.json`."""
        return {KEY: sorted(self.found)} if self.found else {}
