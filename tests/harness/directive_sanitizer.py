"""A sanitizer for tests: finds a fault in every kernel whose body says `segv`."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from foundry.program import Program


def examine(program: Program, inputs: Any) -> SimpleNamespace:
    if "segv" in program.launches[0].source:
        finding = SimpleNamespace(message="thread 0 reads x[1] of 1", line=7)
        return SimpleNamespace(findings=[finding])
    return SimpleNamespace(findings=[])
