"""Is a kernel right, is it faster, is it honest? `Judge` answers with an `Evaluation`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foundry.judge.judge import Judge
    from foundry.judge.options import JudgeOptions
    from foundry.judge.verdict import Evaluation, Status

__all__ = ["Evaluation", "Judge", "JudgeOptions", "Status"]

_HOMES = {
    "Evaluation": "foundry.judge.verdict",
    "Judge": "foundry.judge.judge",
    "JudgeOptions": "foundry.judge.options",
    "Status": "foundry.judge.verdict",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
