"""The machine that this package runs on: its GPU, and where what is learnt of it is kept."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import mlx.core as mx

HERE = Path(__file__).parent
PREFIX = HERE.name.upper()
CACHE_VARIABLE = f"{PREFIX}_CACHE_DIR"


@cache
def catalog() -> Mapping[str, Any]:
    """Everything this package knows: ops, kernels, records."""
    loaded: Mapping[str, Any] = json.loads((HERE / "catalog.json").read_text())
    return loaded


@cache
def chip() -> str | None:
    """Name of the Apple GPU, None without Metal."""
    if not mx.metal.is_available():
        return None
    return str(_hardware().get("device_name", "Apple GPU"))


def _hardware() -> Mapping[str, Any]:
    """What MLX tells of the GPU, else of the CPU; never of what the default device is just now."""
    found: Mapping[str, Any] = mx.device_info(mx.gpu if mx.metal.is_available() else mx.cpu)
    return found


def identity() -> dict[str, str]:
    """What times and verdicts of this machine depend on; learnt values serve no other identity."""
    info = _hardware()
    return {
        "chip": chip() or "",
        "architecture": str(info.get("architecture", "")),
        "memory_bytes": str(info.get("memory_size", "")),
        "system": platform.platform(),
        "mlx": str(getattr(mx, "__version__", "")),
        "catalog": hashlib.sha256((HERE / "catalog.json").read_bytes()).hexdigest()[:16],
    }


def cache_file() -> Path:
    """Where the values that were learnt of this machine are kept; a file for each identity."""
    text = json.dumps(identity(), sort_keys=True)
    name = hashlib.sha256(text.encode()).hexdigest()[:16]
    return _cache_folder() / HERE.name / f"{name}.json"


def _cache_folder() -> Path:
    if given := os.environ.get(CACHE_VARIABLE):
        return Path(given)
    if sys.platform == "darwin":
        return _home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or _home() / ".cache")


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # no HOME, and a user that the system does not know, as in a container
        return Path(tempfile.gettempdir())
