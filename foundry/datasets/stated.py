"""What the `metadata.json` of an export states of a file of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foundry.datasets.card import METADATA
from foundry.datasets.files import sha256


def of_export(file: Path) -> tuple[Mapping[str, Any], str]:
    """The metadata of the export that a file lies in, and the name of the file there.

    Both are empty where it lies in none.
    """
    for folder in (file.parent, file.parent.parent):
        try:
            stated = json.loads((folder / METADATA).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue  # no export, or not one of ours: then nothing is stated
        if isinstance(stated, dict):
            return stated, file.relative_to(folder).as_posix()
    return {}, ""


def named_by_an_export(file: Path) -> bool:
    """Whether the export that a file lies in says that it wrote it."""
    return _digest(file) is not None


def is_as_exported(file: Path) -> bool | None:
    """Whether every byte is as the export wrote it; None where none says that it did."""
    stated = _digest(file)
    return None if stated is None else stated == sha256(file)


def _digest(file: Path) -> str | None:
    stated, name = of_export(file)
    try:
        return str(stated["files"][name]["sha256"])
    except (LookupError, TypeError):
        return None
