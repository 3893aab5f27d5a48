"""The kernels with the shortest predicted times: what a search for a chip begins with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from foundry.store.records import StoredEvaluation
from foundry.store.tables import models
from foundry.store.tables.evaluations import standing
from foundry.store.tables.rows import SELECTED, load
from ops.workload import Workload

if TYPE_CHECKING:
    from foundry.store.store import Store

_ROWS = models.evaluations.c


def shortest(
    store: Store, op: str, device_id: str, workloads: Sequence[Workload], limit: int
) -> list[StoredEvaluation]:
    """Proven kernels by the geometric mean of their predicted times, the shortest first.

    Disproved ones do not count, nor do those that lack a prediction.

    Args:
        store: An open database.
        op: Of the kernels.
        device_id: Of a chip that is not here.
        workloads: Those that are predicted, all of one dtype.
        limit: Kernels at most.
    """
    said, wanted = models.predictions.c, [workload.id for workload in workloads]
    whole = (
        select(said.evaluation_id)
        .where(said.workload.in_(wanted))
        .group_by(said.evaluation_id)
        .having(func.count() == len(wanted))
    )
    of_device = (_ROWS.op == op, _ROWS.device_id == device_id)
    latest = standing(*of_device, _ROWS.id.in_(whole)).subquery()
    times = (
        select(said.evaluation_id, said.predicted_us)
        .join(latest, said.evaluation_id == latest.c.id)
        .where(said.workload.in_(wanted))
    )
    with store.connected(writing=False) as connection:
        logs: dict[int, float] = {}
        for row in connection.execute(times):
            logs[row.evaluation_id] = logs.get(row.evaluation_id, 0.0) + math.log(row.predicted_us)
        chosen = sorted(logs, key=lambda one: (logs[one], one))[:limit]
        found = load(connection, connection.execute(SELECTED.where(_ROWS.id.in_(chosen))).all())
    return sorted(found, key=lambda one: chosen.index(one.id))
