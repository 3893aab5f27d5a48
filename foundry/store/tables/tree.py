"""Search trees: one row per node, written again whenever the node changes."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Connection, bindparam, insert, select, update

from foundry.store.records import NodeRecord
from foundry.store.tables import models

_NODES = models.nodes.c
# Values go beside a statement, not into it: a search writes each node four times, and a statement
# that is built anew costs more than what SQLite does with it.
_UPDATE = update(models.nodes).where(
    _NODES.run_id == bindparam("the_run"), _NODES.id == bindparam("the_node")
)


def save(connection: Connection, run_id: int, node: NodeRecord, now: datetime) -> None:
    """Insert a node, or replace what is stored of it."""
    values = {**asdict(node), "detail": dict(node.detail), "updated_at": now}
    same = {"the_run": run_id, "the_node": node.id}
    if connection.execute(_UPDATE, values | same).rowcount == 0:
        connection.execute(insert(models.nodes), values | {"run_id": run_id, "created_at": now})


def load(connection: Connection, run_id: int) -> list[NodeRecord]:
    """The nodes of a run by id."""
    columns = [_NODES[name] for name in NodeRecord.__dataclass_fields__]
    statement = select(*columns).where(_NODES.run_id == run_id).order_by(_NODES.id)
    return [NodeRecord(**row) for row in connection.execute(statement).mappings()]
