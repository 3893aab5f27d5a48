"""The assignments that rows are made of: what a search would have asked. Pure."""

from __future__ import annotations

from contextlib import suppress

from foundry.datasets import requested
from foundry.datasets.evidence import KernelRecord
from foundry.datasets.views.view import Material, drawn
from foundry.errors import UsageError
from foundry.prompts.assignment import Assignment, Attempt
from foundry.prompts.build import Prompt, build
from foundry.prompts.foci import FOCI
from foundry.store.records import StoredEvaluation
from ops.workload import Workload
from ops.workload_names import workload_of

MAX_FAILURES = 2


def attempt(known: KernelRecord, stored: StoredEvaluation) -> Attempt:
    """A kernel as a prompt shows it."""
    return Attempt(known.text, stored.evaluation)


def prompt(
    material: Material,
    known: KernelRecord,
    stored: StoredEvaluation,
    parent: Attempt | None = None,
    failures: tuple[Attempt, ...] = (),
) -> Prompt:
    """What a search on the device of `stored` would have asked before it got this kernel.

    Nothing that was learnt about the kernel itself is in it.
    """
    evaluation = stored.evaluation
    return build(
        Assignment(
            known.op,
            evaluation.dtype,
            stored.device,
            parent,
            timed=_timed(known, stored),
            failures=failures,
            turn=drawn(known.kernel_hash, material.choice.seed, len(FOCI)),
        ),
        material.choice.prompt,
    )


def _timed(known: KernelRecord, stored: StoredEvaluation) -> tuple[Workload, ...]:
    """What was timed, or was to be; none stands for all bench workloads of the op."""
    found = []
    for timing in stored.evaluation.timings:
        with suppress(UsageError):  # the op has it no more
            found.append(workload_of(known.op, timing.workload, timing.label))
    return tuple(found) or requested.workloads(known.op, stored)


def failed_siblings(
    material: Material, parent: KernelRecord, child: KernelRecord
) -> list[tuple[KernelRecord, Attempt]]:
    """Failed children of a parent that were judged before a child of it, the latest first."""
    first = min((one.id for one in child.latest.values()), default=0)
    found = [
        (one.id, known, attempt(known, one))
        for known in material.evidence.children.get(parent.kernel_hash, ())
        if known.key in material.pool.failed and known.op.name == parent.op.name
        for one in known.failures()
        if one.id < first
    ]
    latest = sorted(found, key=lambda one: -one[0])[:MAX_FAILURES]
    return [(known, shown) for _, known, shown in latest]
