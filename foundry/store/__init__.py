"""Runs, kernels, evaluations, LLM calls and search trees in a database. SQL lives here alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foundry.store.records import (
        CallRecord,
        CallState,
        NodeRecord,
        Origin,
        Overview,
        RunRecord,
        StoredEvaluation,
        Tokens,
    )
    from foundry.store.store import Store
    from foundry.store.tables.runs import settings_key

__all__ = [
    "CallRecord",
    "CallState",
    "NodeRecord",
    "Origin",
    "Overview",
    "RunRecord",
    "Store",
    "StoredEvaluation",
    "Tokens",
    "settings_key",
]

_MODULES = {"Store": "store", "settings_key": "tables.runs"}


def __getattr__(name: str) -> Any:
    """Import on first use: SQLAlchemy is slow to load, and most commands do without it."""
    if name not in __all__:
        raise AttributeError(f"module 'foundry.store' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(f"foundry.store.{_MODULES.get(name, 'records')}"), name)
