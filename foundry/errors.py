"""The error tree of `ops.errors`, under the name that most callers use."""

from __future__ import annotations

from ops.errors import (
    EnvironmentUnusable,
    FoundryError,
    InvalidKernel,
    LaunchFailed,
    UsageError,
    unknown,
)

__all__ = [
    "EnvironmentUnusable",
    "FoundryError",
    "InvalidKernel",
    "LaunchFailed",
    "UsageError",
    "unknown",
]
