"""The error tree of `ops.errors`, under the name that most callers use."""

from __future__ import annotations

from ops.errors import (
    DoesNotBuild,
    EnvironmentUnusable,
    FoundryError,
    InvalidKernel,
    LaunchFailed,
    NoAnswer,
    UsageError,
    first_line,
    unknown,
)

__all__ = [
    "DoesNotBuild",
    "EnvironmentUnusable",
    "FoundryError",
    "InvalidKernel",
    "LaunchFailed",
    "NoAnswer",
    "UsageError",
    "first_line",
    "unknown",
]
