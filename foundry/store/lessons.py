"""Lessons: what made a kernel faster, by op family and device, and whether hearing it helps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import case, insert, select, update

from foundry.program import Device
from foundry.store.records import Lesson
from foundry.store.tables import models

if TYPE_CHECKING:
    from foundry.store import Store

_LESSONS = models.lessons.c
TRIED_AFTER = 8
"""Kernels whose authors were shown a lesson before it must have paid."""
LEAST_PAID = 0.1
"""Share of these after which a kernel beat its parent; a lesson below it is shown no more."""


def keep(
    store: Store, run_id: int, family: str, device: Device, lesson: Lesson, pair: tuple[str, str]
) -> None:
    """Keep what the second kernel of a pair, the faster, teaches; once per pair and device."""
    slower, faster = pair
    values = {
        "run_id": run_id,
        "op": lesson.op,
        "family": family,
        "device_id": device.id,
        "text": lesson.text,
        "gain": lesson.gain,
        "slower_hash": slower,
        "faster_hash": faster,
        "shown": 0,
        "paid": 0,
        "created_at": datetime.now(UTC),
    }
    same_pair = (_LESSONS.slower_hash == slower) & (_LESSONS.faster_hash == faster)
    same = select(_LESSONS.id).where(same_pair, _LESSONS.device_id == device.id)
    with store.connected(writing=True) as connection:
        if connection.execute(same).first() is None:
            connection.execute(insert(models.lessons).values(**values))


def relevant(store: Store, op: str, family: str, device: Device, limit: int) -> list[Lesson]:
    """Lessons worth showing for an op on a device: its own first, then by what they brought."""
    standing = (_LESSONS.shown < TRIED_AFTER) | (_LESSONS.paid >= LEAST_PAID * _LESSONS.shown)
    statement = (
        select(models.lessons)
        .where(_LESSONS.device_id == device.id, _LESSONS.family == family, standing)
        .order_by(
            case((_LESSONS.op == op, 0), else_=1),
            ((_LESSONS.paid + 1.0) / (_LESSONS.shown + 2.0) * _LESSONS.gain).desc(),
            _LESSONS.id,
        )
        .limit(limit)
    )
    fields = Lesson.__dataclass_fields__
    with store.connected(writing=False) as connection:
        rows = connection.execute(statement).mappings().all()
    return [Lesson(**{name: row[name] for name in fields}) for row in rows]


def credit(store: Store, ids: Sequence[int], *, paid: bool) -> None:
    """Count that lessons were shown, and whether the kernel that came of it beat its parent."""
    statement = update(models.lessons).where(_LESSONS.id.in_(list(ids)))
    counted = statement.values(shown=_LESSONS.shown + 1, paid=_LESSONS.paid + int(paid))
    with store.connected(writing=True) as connection:
        connection.execute(counted)
