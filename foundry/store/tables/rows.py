"""Evaluations as rows of five tables, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Table, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from foundry.judge.verdict import Diagnostic, Evaluation, OutputError, Timing
from foundry.program import Device
from foundry.store.records import PREDICTIONS, Origin, StoredEvaluation
from foundry.store.tables import models
from foundry.store.tables.predictions import Documents, insert_predictions, load_predictions

_PARTS: Mapping[str, Table] = {
    "diagnostics": models.diagnostics,
    "errors": models.output_errors,
    "timings": models.timings,
}
_RECORDS: Mapping[str, type[Diagnostic | OutputError | Timing]] = {
    "diagnostics": Diagnostic,
    "errors": OutputError,
    "timings": Timing,
}
_OWN = ("kernel_hash", "op", "dtype", "device_id", "stage_ms", "judge_version", "seed", "extra")
_OWNER = "evaluation_id"
_INSERT = insert(models.evaluations).returning(models.evaluations.c.id)
_INSERTS: Mapping[str, Callable[[Table], Any]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}


def insert_evaluation(
    connection: Connection, evaluation: Evaluation, provenance: Mapping[str, Any]
) -> int:
    """Insert one evaluation with its parts; `provenance` fills the remaining columns."""
    own = {name: getattr(evaluation, name) for name in _OWN}
    own |= {"status": evaluation.status.value, "score": evaluation.score}
    if evaluation.proven is not None:  # else SQL's NULL: a None would be JSON's
        own["proven"] = evaluation.proven.model_dump(mode="json")
    own["extra"] = {name: fact for name, fact in evaluation.extra.items() if name != PREDICTIONS}
    key = int(connection.execute(_INSERT, {**own, **provenance}).scalar_one())
    for attribute, table in _PARTS.items():
        parts = getattr(evaluation, attribute)
        if parts:
            connection.execute(insert(table), [_part(key, i, p) for i, p in enumerate(parts)])
    insert_predictions(connection, key, evaluation.extra)
    return key


def _part(key: int, position: int, part: Diagnostic | OutputError | Timing) -> dict[str, Any]:
    return {_OWNER: key, "position": position, **part.model_dump()}


def load(connection: Connection, rows: Sequence[Row[Any]]) -> list[StoredEvaluation]:
    """Whole evaluations of rows of `SELECTED`, in their order."""
    if not rows:
        return []
    keys = [row.id for row in rows]
    parts = {attribute: _parts(connection, attribute, keys) for attribute in _PARTS}
    predictions = load_predictions(connection, keys)
    devices = load_devices(connection, {row.device_id for row in rows})
    shapes = _load_shapes(connection, {row.run_id for row in rows})
    return [
        StoredEvaluation(
            id=row.id,
            run_id=row.run_id,
            evaluation=_evaluation(
                row, {k: found.get(row.id, ()) for k, found in parts.items()}, predictions
            ),
            text=row.text,
            origin=Origin(row.origin_kind, row.origin_name, row.origin_detail),
            parent_hash=row.parent_hash,
            device=devices[row.device_id],
            created_at=row.created_at,
            shapes=_of_op(shapes.get(row.run_id, ()), row.op),
        )
        for row in rows
    ]


def _load_shapes(connection: Connection, ids: Iterable[int]) -> dict[int, Any]:
    """What runs were told to time, by run: of a search a list, of an autorun lists by op."""
    runs = models.runs.c
    statement = select(runs.id, runs.settings).where(runs.id.in_(list(ids)))
    return {row.id: row.settings.get("shapes", ()) for row in connection.execute(statement)}


def _of_op(shapes: Any, op: str) -> tuple[Mapping[str, int], ...]:
    return tuple(shapes.get(op, ()) if isinstance(shapes, Mapping) else shapes)


SELECTED = select(models.evaluations, models.kernels.c.text).join(models.kernels)
"""What `load` needs of one evaluation."""


def _evaluation(
    row: Row[Any], parts: Mapping[str, Any], predictions: Mapping[int, Documents]
) -> Evaluation:
    own = {name: getattr(row, name) for name in _OWN}
    if row.id in predictions:
        own["extra"] = {**own["extra"], PREDICTIONS: predictions[row.id]}
    return Evaluation(**own, status=row.status, proven=row.proven, **parts)


def _parts(
    connection: Connection, attribute: str, keys: Sequence[int]
) -> dict[int, list[Diagnostic | OutputError | Timing]]:
    table, record = _PARTS[attribute], _RECORDS[attribute]
    owner = table.c[_OWNER]
    statement = select(table).where(owner.in_(keys)).order_by(owner, table.c.position)
    found: dict[int, list[Diagnostic | OutputError | Timing]] = {}
    for row in connection.execute(statement).mappings():
        values = {name: value for name, value in row.items() if name in record.model_fields}
        found.setdefault(row[_OWNER], []).append(record(**values))
    return found


def keep(connection: Connection, table: Table, values: Mapping[str, Any]) -> None:
    """Insert a row unless one of its key is there.

    On a server two processes may insert the same at once: the second waits, and finds it there.
    """
    make = _INSERTS.get(connection.dialect.name)
    if make is not None:
        connection.execute(make(table).values(**values).on_conflict_do_nothing())
        return
    (key,) = table.primary_key
    known = select(key).where(key == values[key.name])
    if connection.execute(known).first() is None:
        connection.execute(insert(table).values(**values))


def load_devices(connection: Connection, ids: Iterable[str]) -> dict[str, Device]:
    """Devices by id."""
    statement = select(models.devices).where(models.devices.c.id.in_(list(ids)))
    return {
        row.id: Device(row.kind, row.name, row.fingerprint) for row in connection.execute(statement)
    }
