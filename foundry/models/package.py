"""The catalog whose kernels a model gets: an installed package, or a wheel in some folder."""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from foundry.errors import EnvironmentUnusable, UsageError, first_line

_BROKEN = (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError)
"""What unpacking a file of any contents raises; archives of odd kinds are at runtime."""
_PARTS = ("FUNCTIONS", "dispatch", "patched")
"""What is asked of a catalog beside its ops."""


@contextmanager
def catalog(name: str) -> Iterator[ModuleType]:
    """The package of a catalog, imported.

    Args:
        name: Its import name, or the path of a wheel.

    Raises:
        UsageError: Not a catalog.
        EnvironmentUnusable: No such package is installed.
    """
    if not name.endswith(".whl"):
        yield _imported(name)
        return
    with tempfile.TemporaryDirectory(prefix="foundry-catalog-") as folder:
        package = _unpack(Path(name), Path(folder))
        sys.path.insert(0, folder)
        try:
            yield _imported(package)
        finally:
            sys.path.remove(folder)
            for module in [m for m in sys.modules if m == package or m.startswith(f"{package}.")]:
                del sys.modules[module]


def hash_of(package: ModuleType) -> str:
    """Identity of what a catalog holds."""
    path = Path(str(package.__file__)).with_name("catalog.json")
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _unpack(wheel: Path, folder: Path) -> str:
    try:
        with zipfile.ZipFile(wheel) as archive:
            found = [n for n in archive.namelist() if n.endswith("/catalog.json")]
            if not found:
                raise ValueError("it holds no catalog.json")
            archive.extractall(folder)
            return found[0].partition("/")[0]
    except _BROKEN as error:
        raise UsageError(
            f"{wheel} is not a catalog wheel ({error}); build one: foundry catalog build"
        ) from error


def _imported(name: str) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise UsageError(f"'{name}' is no package; give its import name, or the path of a wheel")
    try:
        module = importlib.import_module(name)
        text = Path(str(module.__file__)).with_name("catalog.json").read_text()
        if not isinstance(json.loads(text)["ops"], list):
            raise ValueError("its catalog.json lists no ops")
        if missing := [part for part in _PARTS if not hasattr(module, part)]:
            raise ValueError(f"it has no {missing[0]}")
    except ModuleNotFoundError as error:
        if not f"{name}.".startswith(f"{error.name}."):
            raise _no_catalog(name, error) from error
        raise EnvironmentUnusable(
            f"no package {name} is installed ({error}).", "Name a wheel, or pip install it."
        ) from error
    except Exception as error:  # it runs code of its own, which may be anything
        raise _no_catalog(name, error) from error
    return module


def _no_catalog(name: str, error: Exception) -> UsageError:
    said = f"{type(error).__name__}: {first_line(error)}"
    return UsageError(f"{name} is not a catalog ({said}); build one: foundry catalog build")
