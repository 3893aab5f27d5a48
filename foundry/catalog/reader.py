"""Reads a built wheel back: what it holds, and its kernel files for re-verification."""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundry.errors import UsageError
from foundry.kernel import Kernel, parse

_BROKEN = (
    OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, LookupError,
    TypeError, AttributeError,
)  # fmt: skip
"""What reading a file of any contents as a wheel raises; archives of odd kinds are at runtime."""


@dataclass(frozen=True)
class Shipped:
    """One kernel of a wheel."""

    op: str
    dtype: str
    kernel: Kernel
    record: dict[str, Any]


def read_wheel(path: Path) -> tuple[Shipped, ...]:
    """Every kernel of a catalog wheel.

    Raises:
        UsageError: Not a wheel that `foundry catalog build` made, or a kernel file in it that no
            longer matches its hash.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [n for n in archive.namelist() if n.endswith("/catalog.json")]
            if not names:
                raise ValueError("it holds no catalog.json")
            catalog = json.loads(archive.read(names[0]))
            root = names[0].partition("/")[0]
            return tuple(
                _shipped(archive, root, op["name"], kernel)
                for op in catalog["ops"]
                for kernel in op["kernels"]
            )
    except _BROKEN as error:
        raise UsageError(
            f"{path} is not a catalog wheel ({error}); build one: foundry catalog build"
        ) from error


def _shipped(archive: zipfile.ZipFile, root: str, op: str, entry: dict[str, Any]) -> Shipped:
    kernel = parse(archive.read(f"{root}/kernels/{entry['file']}").decode())
    if kernel.hash != entry["hash"]:
        raise UsageError(f"{entry['file']} was changed after the wheel was built; rebuild it")
    return Shipped(op, entry["dtype"], kernel, entry["record"])
