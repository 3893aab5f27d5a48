"""A sanitizer for tests: a body of `segv` has a fault, and one of `refused` does not build."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from foundry.program import Program


def examine(program: Program, inputs: Any) -> SimpleNamespace:
    if "segv" in program.launches[0].source:
        finding = SimpleNamespace(message="thread 0 reads x[1] of 1", line=7)
        return SimpleNamespace(findings=[finding])
    refused = "refused" in program.launches[0].source
    return SimpleNamespace(findings=[], build_log="error: too much" if refused else None)
