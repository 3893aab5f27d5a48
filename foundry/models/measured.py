"""Capsules of what the database holds: a validation of a model, or a timed kernel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foundry.errors import UsageError
from foundry.models.capsule import Capsule
from foundry.models.conditions import ValidationConditions, command
from foundry.program import Device
from foundry.store import Store, validations


def of_validation(store: Store, number: int) -> Capsule:
    """A validation by its number.

    Raises:
        UsageError: There is none.
    """
    found = validations.read(store, number)
    if found is None:
        raise UsageError(f"no validation {number}; make one: foundry validate MODEL --save")
    document, key = dict(found.document), found.key
    if "conditions" not in document:
        raise UsageError(
            f"validation {number} does not say under which conditions it was made: a version before"
            " they were kept wrote it; validate again: foundry validate MODEL --save"
        )
    under = ValidationConditions.model_validate(document["conditions"])
    return Capsule(
        kind="validation",
        device=_told(validations.device_of(store, key.device_id)),
        environment=_shared(found.environment),
        hashes={"weights": key.weights_hash, "catalog": key.catalog_hash},
        document=document,
        command=command(under, document["catalog"], key.mode),
    )


def of_kernel(store: Store, prefix: str) -> Capsule:
    """The newest timed evaluation of a kernel.

    Raises:
        UsageError: No such kernel, or it was never timed.
    """
    digest = store.kernel_hash(prefix)
    timed = [
        row
        for row in store.evaluations()
        if row.evaluation.kernel_hash == digest and row.evaluation.timings
    ]
    if not timed:
        raise UsageError(
            f"kernel {digest[:12]} was never timed; time it: foundry bench FILE --save"
        )
    row = max(timed, key=lambda r: r.id)
    run = next(run for run in store.runs() if run.id == row.run_id)
    return Capsule(
        kind="evaluation",
        device=_told(row.device),
        environment=_shared(run.environment),
        hashes={"kernel": digest},
        document={"kernel": row.text, **row.evaluation.model_dump(mode="json")},
        command=f"foundry bench FILE --dtype {row.evaluation.dtype}",
    )


def _told(device: Device) -> dict[str, Any]:
    return {"kind": device.kind, "name": device.name, "fingerprint": dict(device.fingerprint)}


def _shared(environment: Mapping[str, Any]) -> dict[str, Any]:
    """An environment without the name of the machine, which is nobody else's business."""
    return {name: value for name, value in environment.items() if name != "host"}
