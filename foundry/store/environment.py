"""What a run ran under, beyond its device: versions and system, never a key or a variable."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = (
    "metal-foundry", "mlx", "mlx-lm", "numpy", "ziglang", "sqlalchemy", "anthropic", "openai",
)  # fmt: skip
_ROOT = Path(__file__).parents[2]


def capture() -> dict[str, Any]:
    """Facts that may explain a result later, in JSON types."""
    facts: dict[str, Any] = {
        "python": platform.python_version(),
        "system": platform.platform(),
        "machine": platform.machine(),
        "host": platform.node(),
        "cpus": os.cpu_count(),
        "sqlite": sqlite3.sqlite_version,
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
    }
    if revision := _revision():
        facts["revision"] = revision
    return facts


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _revision() -> str | None:
    """Commit of a source checkout; None for an installed wheel, or without git."""
    if not (_ROOT / ".git").exists():
        return None
    command = ["git", "-C", str(_ROOT), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
