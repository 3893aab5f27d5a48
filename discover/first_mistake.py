"""What is wrong with what a user wrote, by pydantic's errors: the first that helps. Pure."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_type_hints

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from foundry.errors import unknown

_NO_SUCH_KEY = {"extra_forbidden", "unexpected_keyword_argument"}
"""Kinds of errors: of a model, and of a dataclass."""


def first_mistake(kind: type[BaseModel], error: ValidationError) -> tuple[tuple[str, ...], str]:
    """Where the first fault stands, key by key, and what it is.

    A misspelt key comes before the one that is missing for it, with the nearest that there is.
    """
    first = min(error.errors(), key=lambda one: one["type"] not in _NO_SUCH_KEY)
    keys = tuple(str(part) for part in first["loc"])
    return keys, _words(kind, keys, first)


def _words(kind: type[BaseModel], keys: tuple[str, ...], error: ErrorDetails) -> str:
    known = _keys_at(kind, keys[:-1]) if error["type"] in _NO_SUCH_KEY else ()
    if known:
        return str(unknown("key", keys[-1], known))
    return error["msg"].removeprefix("Value error, ")


def _keys_at(kind: Any, table: tuple[str, ...]) -> tuple[str, ...]:
    """The keys that a table may have; none where it is no table with keys of its own."""
    for name in table:
        held = get_type_hints(kind).get(name)
        kind = next((a for a in get_args(held) if isinstance(a, type)), held)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return tuple(kind.model_fields)
    return tuple(f.name for f in fields(kind)) if is_dataclass(kind) else ()
