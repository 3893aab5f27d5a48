"""Which stored evaluations a command is about."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from foundry.errors import UsageError

if TYPE_CHECKING:
    from foundry.store import Store
    from foundry.store.records import StoredEvaluation


def chosen(
    store: Store,
    ops: Collection[str] | None = None,
    device_id: str | None = None,
    statuses: Collection[str] | None = None,
    run_id: int | None = None,
) -> Iterator[StoredEvaluation]:
    """Evaluations that meet every condition given, in the order in which they were saved.

    Args:
        store: An open database.
        ops: Names of ops.
        device_id: Id of a device, or how it starts: `cpu`, `metal-3f`.
        statuses: Statuses.
        run_id: A run.

    Raises:
        UsageError: No such run or device.
    """
    if run_id is not None and run_id not in {run.id for run in store.runs()}:
        raise UsageError(f"no run {run_id}; foundry list runs shows which there are")
    known = {overview.device_id for overview in store.overview()}
    if device_id is not None and not any(name.startswith(device_id) for name in known):
        raise UsageError(f"no device '{device_id}'; known: {', '.join(sorted(known)) or 'none'}")
    return (
        stored
        for stored in store.evaluations(run_id=run_id)
        if (ops is None or stored.evaluation.op in ops)
        and (device_id is None or stored.device.id.startswith(device_id))
        and (statuses is None or stored.evaluation.status in statuses)
    )
