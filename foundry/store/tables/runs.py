"""Runs: begin, finish, and take up again what was cut short."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, true, update

from foundry.errors import UsageError
from foundry.program import Device
from foundry.store.records import RunRecord
from foundry.store.tables import models
from foundry.store.tables.rows import load_devices

_RUNS = models.runs.c
RESUMED = _RUNS.resumed
"""The column, for `resumed = resumed + 1`."""


def settings_key(settings: Mapping[str, Any], seed: int, device: Device) -> str:
    """Key of a command: equal for equal settings, seed and device, in any order of the settings."""
    text = json.dumps([dict(settings), seed, device.id], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def insert_run(connection: Connection, values: dict[str, Any]) -> int:
    """Insert a run; its id."""
    statement = insert(models.runs).values(**values).returning(_RUNS.id)
    return int(connection.execute(statement).scalar_one())


def change(connection: Connection, run_id: int, **values: Any) -> None:
    """Set columns of one run.

    Raises:
        UsageError: No such run.
    """
    if connection.execute(update(models.runs).where(_RUNS.id == run_id).values(**values)).rowcount:
        return
    raise UsageError(f"no run {run_id} in this database")


def unfinished(connection: Connection, kind: str, key: str, judge_version: int) -> int | None:
    """The latest run of these settings that is not done, if the judge is still the same."""
    statement = (
        select(_RUNS.id)
        .where(_RUNS.kind == kind, _RUNS.settings_key == key)
        .where(_RUNS.judge_version == judge_version)
        .where(_RUNS.outcome.is_distinct_from("done"))
        .order_by(_RUNS.id.desc())
        .limit(1)
    )
    return connection.execute(statement).scalar()


def load_runs(connection: Connection, run_id: int | None = None) -> list[RunRecord]:
    """Every run, oldest first; or the one of that id, if there is one."""
    counting = select(models.evaluations.c.run_id, func.count().label("n"))
    if run_id is not None:
        counting = counting.where(models.evaluations.c.run_id == run_id)
    counted = counting.group_by(models.evaluations.c.run_id).subquery()
    statement = (
        select(models.runs, func.coalesce(counted.c.n, 0).label("evaluations"))
        .outerjoin(counted, counted.c.run_id == _RUNS.id)
        .where(_RUNS.id == run_id if run_id is not None else true())
        .order_by(_RUNS.id)
    )
    rows = connection.execute(statement).all()
    devices = load_devices(connection, {row.device_id for row in rows})
    return [_run(row, devices[row.device_id]) for row in rows]


def _run(row: Row[Any], device: Device) -> RunRecord:
    values = dict(row._mapping)
    del values["device_id"]
    return RunRecord(**values, device=device)
