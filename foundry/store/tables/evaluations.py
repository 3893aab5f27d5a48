"""What is asked about evaluations: one to reuse, many to read, the best ones, a summary."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, case, func, select

from foundry.errors import UsageError
from foundry.judge.verdict import JUDGE_VERSION, Evaluation, Status
from foundry.store.records import Origin, Overview, StoredEvaluation
from foundry.store.tables import models
from foundry.store.tables.rows import SELECTED, load

DISPROOFS = (
    Status.INVALID,
    Status.BUILD_ERROR,
    Status.SANITIZER_ERROR,
    Status.WRONG_RESULT,
    Status.REJECTED,
)
"""Findings that stand whatever a later evaluation says; a crash or timeout may be the machine's."""
PASSED = tuple(status for status in Status if status.passed)

_ROWS = models.evaluations.c
_CURRENT = _ROWS.judge_version == JUDGE_VERSION
_TIMED = _ROWS.score.is_not(None)
_MIN_PREFIX = 4


@dataclass(frozen=True)
class Filter:
    """Which evaluations are meant; None means any."""

    op: str | None = None
    status: Status | None = None
    device_id: str | None = None
    run_id: int | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """The filter in SQL."""
        given = {
            _ROWS.op: self.op,
            _ROWS.status: None if self.status is None else self.status.value,
            _ROWS.device_id: self.device_id,
            _ROWS.run_id: self.run_id,
        }
        return [column == value for column, value in given.items() if value is not None]


def find(connection: Connection, kernel_hash: str, device_id: str, dtype: str) -> Evaluation | None:
    """The evaluation to trust: a disproof, else the latest timed pass, else the latest."""
    rank = case((_ROWS.status.in_(DISPROOFS), 0), (_ROWS.score.is_not(None), 1), else_=2)
    statement = (
        SELECTED.where(_ROWS.kernel_hash == kernel_hash, _ROWS.device_id == device_id)
        .where(_ROWS.dtype == dtype, _CURRENT)
        .order_by(rank, _ROWS.id.desc())
        .limit(1)
    )
    found = load(connection, connection.execute(statement).all())
    return found[0].evaluation if found else None


def page(
    connection: Connection, chosen: Filter, after: int | None, size: int, *, newest_first: bool
) -> Sequence[StoredEvaluation]:
    """The next evaluations after id `after`, in order of id."""
    statement = SELECTED.where(*chosen.conditions()).limit(size)
    if newest_first:
        statement = statement.order_by(_ROWS.id.desc())
        if after is not None:
            statement = statement.where(_ROWS.id < after)
    else:
        statement = statement.order_by(_ROWS.id)
        if after is not None:
            statement = statement.where(_ROWS.id > after)
    return load(connection, connection.execute(statement).all())


def best(
    connection: Connection, op: str, device_id: str, dtype: str, limit: int | None
) -> list[StoredEvaluation]:
    """Proven kernels by their latest score, highest first; one row per kernel."""
    latest = standing(_TIMED).subquery()
    statement = (
        SELECTED.join(latest, _ROWS.id == latest.c.id)
        .where(_ROWS.op == op, _ROWS.device_id == device_id, _ROWS.dtype == dtype)
        .order_by(_ROWS.score.desc(), _ROWS.id)
        .limit(limit)
    )
    return load(connection, connection.execute(statement).all())


def standing(*wanted: ColumnElement[bool]) -> Select[Any]:
    """Ids of the latest such pass of every kernel, device and dtype that nothing disproves."""
    other = models.evaluations.alias("other").c
    disproved = (
        select(other.id)
        .where(
            other.kernel_hash == _ROWS.kernel_hash,
            other.device_id == _ROWS.device_id,
            other.dtype == _ROWS.dtype,
            other.judge_version == _ROWS.judge_version,
            other.status.in_(DISPROOFS),
        )
        .exists()
    )
    return (
        select(func.max(_ROWS.id).label("id"))
        .where(_CURRENT, _ROWS.status.in_(PASSED), *wanted, ~disproved)
        .group_by(_ROWS.kernel_hash, _ROWS.device_id, _ROWS.dtype)
    )


def overview(connection: Connection) -> list[Overview]:
    """What is stored, one row per op, dtype and device."""
    group = (_ROWS.op, _ROWS.dtype, _ROWS.device_id)
    counted = select(
        *group, _ROWS.status, func.count().label("n"), func.max(_ROWS.created_at).label("last")
    ).group_by(*group, _ROWS.status)
    statuses: dict[tuple[str, str, str], dict[str, int]] = {}
    last: dict[tuple[str, str, str], Any] = {}
    for row in connection.execute(counted):
        key = (row.op, row.dtype, row.device_id)
        statuses.setdefault(key, {})[row.status] = row.n
        last[key] = max(row.last, last.get(key, row.last))
    tops = _tops(connection)
    names = {row.id: row for row in connection.execute(select(models.devices))}
    return [
        Overview(
            *key,
            device_kind=names[key[2]].kind,
            device_name=names[key[2]].name,
            evaluations=sum(statuses[key].values()),
            statuses=statuses[key],
            best_score=tops.get(key, (None, None))[0],
            best_hash=tops.get(key, (None, None))[1],
            last_at=last[key],
        )
        for key in sorted(statuses)
    ]


def _tops(connection: Connection) -> dict[tuple[str, str, str], tuple[float, str]]:
    latest = standing(_TIMED).subquery()
    rows = select(_ROWS.op, _ROWS.dtype, _ROWS.device_id, _ROWS.score, _ROWS.kernel_hash)
    statement = rows.join(latest, _ROWS.id == latest.c.id).order_by(_ROWS.score, _ROWS.id.desc())
    return {
        (row.op, row.dtype, row.device_id): (row.score, row.kernel_hash)
        for row in connection.execute(statement)
    }


def origins(connection: Connection) -> dict[str, tuple[Origin, str | None]]:
    """First origin and parent of every kernel."""
    columns = (_ROWS.kernel_hash, _ROWS.origin_kind, _ROWS.origin_name, _ROWS.origin_detail)
    found: dict[str, tuple[Origin, str | None]] = {}
    for row in connection.execute(select(*columns, _ROWS.parent_hash).order_by(_ROWS.id)):
        origin = Origin(row.origin_kind, row.origin_name, row.origin_detail)
        found.setdefault(row.kernel_hash, (origin, row.parent_hash))
    return found


def resolve(connection: Connection, prefix: str) -> str:
    """The one kernel hash that starts with `prefix`.

    Raises:
        UsageError: Not a hash, none, or several.
    """
    if not re.fullmatch(rf"[0-9a-f]{{{_MIN_PREFIX},64}}", prefix.lower()):
        raise UsageError(
            f"'{prefix}' is not a kernel hash: give {_MIN_PREFIX} or more hexadecimal digits of one"
        )
    column = models.kernels.c.hash
    statement = select(column).where(column.startswith(prefix.lower())).order_by(column).limit(4)
    found = list(connection.execute(statement).scalars())
    if not found:
        raise UsageError(f"no kernel '{prefix}' in this database; foundry list shows what there is")
    if len(found) > 1:
        shown = ", ".join(name[: len(prefix) + 4] for name in found)
        raise UsageError(f"kernel '{prefix}' is ambiguous: {shown}; give more digits")
    return str(found[0])


def kernel_text(connection: Connection, kernel_hash: str) -> str:
    """The stored text of a whole hash."""
    statement = select(models.kernels.c.text).where(models.kernels.c.hash == kernel_hash)
    return str(connection.execute(statement).scalar_one())
