"""Predictions beside an evaluation, as rows of their own: what the chip model said of a kernel.

In an `Evaluation` they are what `extra` holds under `PREDICTIONS`: a document by workload and chip.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, insert, select

from foundry.store.records import PREDICTIONS
from foundry.store.tables import models

_OWNER, _COLUMNS = "evaluation_id", ("predicted_us", "low_us", "high_us", "bound")

Documents = dict[str, dict[str, dict[str, Any]]]


def insert_predictions(connection: Connection, evaluation: int, extra: Mapping[str, Any]) -> None:
    """Keep the predictions among an evaluation's further facts."""
    found = [
        {
            "workload": workload,
            "chip": chip,
            **{name: said.get(name) for name in _COLUMNS},
            "document": {name: value for name, value in said.items() if name not in _COLUMNS},
        }
        for workload, by_chip in extra.get(PREDICTIONS, {}).items()
        for chip, said in by_chip.items()
    ]
    if found:
        owned = [{_OWNER: evaluation, "position": n, **one} for n, one in enumerate(found)]
        connection.execute(insert(models.predictions), owned)


def load_predictions(connection: Connection, evaluations: Sequence[int]) -> dict[int, Documents]:
    """Those of several evaluations, in the order in which they were given."""
    rows = models.predictions.c
    statement = select(models.predictions).where(rows[_OWNER].in_(evaluations))
    found: dict[int, Documents] = {}
    for row in connection.execute(statement.order_by(rows[_OWNER], rows.position)).mappings():
        figures = {name: row[name] for name in _COLUMNS if row[name] is not None}
        by_chip = found.setdefault(row[_OWNER], {}).setdefault(row["workload"], {})
        by_chip[row["chip"]] = {**row["document"], **figures}
    return found
