"""Validations: what came of a language model with the kernels of a catalog, in one mode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select

from foundry.program import Device
from foundry.store.environment import capture
from foundry.store.tables import models
from foundry.store.tables.rows import keep as keep_row

if TYPE_CHECKING:
    from foundry.store import Store

_COLUMNS = models.validations.c


@dataclass(frozen=True)
class ValidationKey:
    """What was validated where; how it was done stands in the document, under `conditions`."""

    model: str
    weights_hash: str
    mode: str
    catalog_hash: str
    device_id: str


@dataclass(frozen=True)
class StoredValidation:
    """One row."""

    id: int
    key: ValidationKey
    document: Mapping[str, Any]
    """All that was found, in JSON types."""
    environment: Mapping[str, Any]
    created_at: datetime


def keep(store: Store, key: ValidationKey, device: Device, document: Mapping[str, Any]) -> int:
    """Add a validation. Returns its id."""
    now = datetime.now(UTC)
    device_values = {
        "id": device.id,
        "kind": device.kind,
        "name": device.name,
        "fingerprint": dict(device.fingerprint),
        "created_at": now,
    }
    values = {
        **vars(key),
        "document": dict(document),
        "environment": capture(),
        "created_at": now,
    }
    with store.connected(writing=True) as connection:
        keep_row(connection, models.devices, device_values)
        row = insert(models.validations).values(**values).returning(_COLUMNS.id)
        return int(connection.execute(row).scalar_one())


def latest(
    store: Store, key: ValidationKey, conditions: Mapping[str, Any]
) -> StoredValidation | None:
    """The newest row of a key that was made under these conditions, None where there is none."""
    same = [getattr(_COLUMNS, name) == value for name, value in vars(key).items()]
    statement = select(models.validations).where(*same).order_by(_COLUMNS.id.desc())
    with store.connected(writing=False) as connection:
        rows = connection.execute(statement).mappings().all()
    found = (row for row in rows if row["document"].get("conditions") == conditions)
    return next(map(_stored, found), None)


def read(store: Store, number: int) -> StoredValidation | None:
    """A row by its id."""
    statement = select(models.validations).where(_COLUMNS.id == number)
    with store.connected(writing=False) as connection:
        row = connection.execute(statement).mappings().first()
    return None if row is None else _stored(row)


def _stored(row: Mapping[Any, Any]) -> StoredValidation:
    key = ValidationKey(**{name: row[name] for name in ValidationKey.__dataclass_fields__})
    return StoredValidation(row["id"], key, row["document"], row["environment"], row["created_at"])


def device_of(store: Store, device_id: str) -> Device:
    """A device by its id."""
    statement = select(models.devices).where(models.devices.c.id == device_id)
    with store.connected(writing=False) as connection:
        row = connection.execute(statement).mappings().one()
    return Device(row["kind"], row["name"], row["fingerprint"])
