"""The ledger of LLM calls: a row before a call is sent, its outcome afterwards."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, insert, select, update

from foundry.store.records import CallRecord, CallState, Tokens
from foundry.store.tables import models

_CALLS = models.llm_calls.c
_TOKENS = {name: name for name in asdict(Tokens())} | {"estimated": "tokens_estimated"}
"""Field of `Tokens` to column."""
_INSERT = insert(models.llm_calls).returning(_CALLS.id)
_FINISH = update(models.llm_calls).where(_CALLS.id == bindparam("the_call"))


def insert_call(connection: Connection, values: dict[str, Any]) -> int:
    """Insert a call that is about to be sent; its id."""
    row = {**values, **_columns(Tokens()), "state": CallState.SENT.value}
    return int(connection.execute(_INSERT, row).scalar_one())


def finish(connection: Connection, call_id: int, tokens: Tokens, values: dict[str, Any]) -> None:
    """Write the outcome of a call."""
    row = {**values, **_columns(tokens), "the_call": call_id}
    if not connection.execute(_FINISH, row).rowcount:
        raise ValueError(f"no call {call_id} in the ledger")


def lose(connection: Connection, run_id: int, finished_at: Any) -> list[CallRecord]:
    """Mark the calls of a dead process, whose answers nobody will bring."""
    pending = select(_CALLS.id).where(_CALLS.run_id == run_id, _CALLS.state == CallState.SENT.value)
    ids = list(connection.execute(pending).scalars())
    connection.execute(
        update(models.llm_calls)
        .where(_CALLS.id.in_(ids))
        .values(state=CallState.LOST.value, finished_at=finished_at)
    )
    return [call for call in load_calls(connection, run_id) if call.id in set(ids)]


def load_calls(connection: Connection, run_id: int) -> list[CallRecord]:
    """The calls of a run in the order in which they were sent."""
    statement = select(models.llm_calls).where(_CALLS.run_id == run_id).order_by(_CALLS.id)
    return [_call(row) for row in connection.execute(statement)]


def usual_tokens(connection: Connection, model: str) -> tuple[float, float] | None:
    """Mean tokens in and out of the answers of a model; None before the first."""
    means = select(func.avg(_CALLS.input_tokens), func.avg(_CALLS.output_tokens))
    done = (_CALLS.model == model) & (_CALLS.state == CallState.DONE.value)
    tokens_in, tokens_out = connection.execute(means.where(done)).one()
    return None if tokens_in is None else (float(tokens_in), float(tokens_out))


def _columns(tokens: Tokens) -> dict[str, Any]:
    return {_TOKENS[field]: value for field, value in asdict(tokens).items()}


def _call(row: Row[Any]) -> CallRecord:
    values = dict(row._mapping)
    tokens = Tokens(**{field: values.pop(column) for field, column in _TOKENS.items()})
    return CallRecord(**values | {"state": CallState(row.state)}, tokens=tokens)
