"""Finds ops: one module of `ops.families` per family, entry points, and users' own files.

Every module-level `Op` of a family module is registered; adding an op edits one file.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from ops import families
from ops.errors import UsageError, unknown
from ops.spec import Op

ENTRY_POINT_GROUP = "metal_foundry.ops"
FILES_VARIABLE = "FOUNDRY_OPS"
"""Environment variable: paths of op files, separated as in PATH."""

_loaded: dict[str, Op] = {}


def get(name: str) -> Op:
    """The op of that name.

    Raises:
        UsageError: No such op; carries the nearest names.
    """
    ops = all_ops()
    if name not in ops:
        raise unknown("op", name, ops)
    return ops[name]


def all_ops() -> Mapping[str, Op]:
    """Every op by name: built in, from entry points, from files."""
    return {**_builtin(), **_from_environment(os.environ.get(FILES_VARIABLE, "")), **_loaded}


def load_file(path: Path) -> tuple[Op, ...]:
    """Register every `Op` of a Python file and return them.

    Raises:
        UsageError: The file is missing, does not run, defines no op, or redefines a built-in one.
    """
    ops = _ops_of_file(path.resolve())
    _loaded.update({op.name: op for op in ops})
    return ops


@cache
def _builtin() -> Mapping[str, Op]:
    found: dict[str, Op] = {}
    for info in pkgutil.iter_modules(families.__path__):
        module = importlib.import_module(f"{families.__name__}.{info.name}")
        found.update({op.name: op for op in _ops_of(module)})
    for point in entry_points(group=ENTRY_POINT_GROUP):
        found.update({op.name: op for op in _ops_of(point.load())})
    return found


@cache
def _from_environment(paths: str) -> Mapping[str, Op]:
    files = [Path(p) for p in paths.split(os.pathsep) if p]
    return {op.name: op for file in files for op in _ops_of_file(file.resolve())}


@cache
def _ops_of_file(path: Path) -> tuple[Op, ...]:
    spec = importlib.util.spec_from_file_location(f"user_ops_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise UsageError(f"cannot load ops from {path}: not a Python file; give the path of a .py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UsageError(f"cannot load ops from {path}: {type(error).__name__}: {error}") from error
    ops = tuple(_ops_of(module))
    if not ops:
        raise UsageError(f"{path} defines no Op at module level; see docs/add-an-op.md")
    for op in ops:
        if op.name in _builtin():
            raise UsageError(f"{path} defines '{op.name}', which exists already; choose a new name")
    return ops


def _ops_of(source: ModuleType | Op) -> Iterator[Op]:
    if isinstance(source, Op):
        yield source
        return
    yield from (value for value in vars(source).values() if isinstance(value, Op))
