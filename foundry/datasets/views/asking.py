"""The assignments that rows are made of: what a search would have asked. Pure."""

from __future__ import annotations

from contextlib import suppress

from foundry.chips import fitted, registry
from foundry.chips.device import device_of
from foundry.datasets import requested
from foundry.datasets.evidence import KernelRecord
from foundry.datasets.views.view import Material, drawn
from foundry.errors import UsageError
from foundry.program import Device
from foundry.prompts.assignment import Assignment, Attempt
from foundry.prompts.build import Prompt, build
from foundry.prompts.foci import FOCI
from foundry.report.predicted import MODEL
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
    asked_for = Assignment(
        known.op,
        stored.evaluation.dtype,
        stored.device,
        parent,
        timed=_timed(known, stored),
        failures=failures,
        turn=drawn(known.kernel_hash, material.choice.seed, len(FOCI)),
    )
    return build(asked_for, material.choice.prompt)


def predicting_prompt(
    material: Material, known: KernelRecord, stored: StoredEvaluation, chip: str, workload: str
) -> Prompt:
    """What a search for a chip that is not here would have asked: what is faster there is no answer
    to a question about the device that the kernel was proven on.

    Args:
        material: What the view is made of.
        known: The kernel.
        stored: The evaluation that holds the prediction.
        chip: Key of the chip.
        workload: Id of what was predicted.
    """
    dtype = stored.evaluation.dtype
    every = known.op.workloads("bench", dtype)
    asked_for = Assignment(
        known.op,
        dtype,
        _chip(chip, stored.device),
        timed=tuple(one for one in every if one.id == workload),
        turn=drawn(known.kernel_hash, material.choice.seed, len(FOCI)),
    )
    return build(asked_for, material.choice.prompt)


def _chip(name: str, proven_on: Device) -> Device:
    """A chip as a device, with its figures where it is registered here."""
    try:
        return device_of(registry.get(name), fitted.built_in(), proven_on)
    except UsageError:
        return Device(MODEL, f"{name} (predicted)", {"chip": name})


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
