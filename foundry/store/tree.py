"""Search trees: one row per node, written again whenever the node changes."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from foundry.store import models
from foundry.store.records import NodeRecord

_NODES = models.nodes.c


def save(connection: Connection, run_id: int, node: NodeRecord, now: datetime) -> None:
    """Insert a node, or replace what is stored of it."""
    values = {**asdict(node), "detail": dict(node.detail), "updated_at": now}
    same = (_NODES.run_id == run_id) & (_NODES.id == node.id)
    if connection.execute(update(models.nodes).where(same).values(**values)).rowcount == 0:
        connection.execute(insert(models.nodes).values(**values, run_id=run_id, created_at=now))


def load(connection: Connection, run_id: int) -> list[NodeRecord]:
    """The nodes of a run by id."""
    columns = [_NODES[name] for name in NodeRecord.__dataclass_fields__]
    statement = select(*columns).where(_NODES.run_id == run_id).order_by(_NODES.id)
    return [NodeRecord(**row) for row in connection.execute(statement).mappings()]
