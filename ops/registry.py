"""Finds ops: the modules of `ops.families`, one a kind, entry points, and users' own files.

1. Every module-level `Op` of a family module is registered, and every one in a module-level tuple,
   list or dict; adding an op edits one file.
2. An installed package adds ops through the entry point group `metal_foundry.ops`: each entry is
   an `Op` or a module that holds some.
3. A user's file adds ops when `FOUNDRY_OPS` names it, or through `load_file`.

Ops from outside are held to `validation.check` when they are read. No two ops share a name.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import pkgutil
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import MappingProxyType, ModuleType

from ops import families
from ops.declaring import gradients
from ops.declaring.validation import check
from ops.errors import EnvironmentUnusable, UsageError, unknown
from ops.spec import Op

ENTRY_POINT_GROUP = "metal_foundry.ops"
FILES_VARIABLE = "FOUNDRY_OPS"
"""Environment variable: paths of op files, separated as in PATH."""

_loaded: dict[str, Path] = {}
"""File of each op that came in through `load_file`."""


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
    """Every op by name: built in, from entry points, from files.

    Raises:
        UsageError: A file of `FOUNDRY_OPS` that does not load, a name used twice, or a gradient
            that does not fit its op.
        EnvironmentUnusable: An installed package whose entry point does not load.
    """
    return _union(os.environ.get(FILES_VARIABLE, ""), frozenset(_loaded.values()))


def load_file(path: Path) -> tuple[Op, ...]:
    """Register every `Op` of a Python file and return them.

    Raises:
        UsageError: The file is missing, does not run, defines no op, breaks a rule, or uses the
            name of another op.
    """
    file = path.resolve()
    ops = _ops_of_file(file)
    _union(os.environ.get(FILES_VARIABLE, ""), frozenset({*_loaded.values(), file}))
    _loaded.update({op.name: file for op in ops})
    return ops


def forget_file(path: Path) -> None:
    """Take the ops of a file back, as if it had never been loaded."""
    file = path.resolve()
    for name in [name for name, known in _loaded.items() if known == file]:
        del _loaded[name]
    # A file of the same name may be written next, with other ops in it.
    _ops_of_file.cache_clear()
    _union.cache_clear()


def gradient_for(name: str) -> Op | None:
    """The op that computes the gradient of an op; None where none does."""
    backward = (op for op in all_ops().values() if op.gradient_of == name)
    return next(backward, None)


def file_of(name: str) -> Path | None:
    """The user's file that defines an op, from which another process can load it.

    None for ops that every process finds: built in, or from an entry point.
    """
    for file in _files(os.environ.get(FILES_VARIABLE, ""), frozenset(_loaded.values())):
        if any(op.name == name for op in _ops_of_file(file)):
            return file
    return None


@cache
def _union(paths: str, loaded: frozenset[Path]) -> Mapping[str, Op]:
    found = dict(_installed())
    for file in _files(paths, loaded):
        _add(found, _ops_of_file(file), str(file))
    gradients.check(found)
    return MappingProxyType(found)


def _files(paths: str, loaded: frozenset[Path]) -> tuple[Path, ...]:
    named = [Path(p).resolve() for p in paths.split(os.pathsep) if p]
    return tuple(dict.fromkeys([*named, *sorted(loaded)]))


@cache
def _installed() -> Mapping[str, Op]:
    found: dict[str, Op] = {}
    for info in pkgutil.walk_packages(families.__path__, f"{families.__name__}."):
        _add(found, _ops_of(importlib.import_module(info.name)), info.name)
    for point in entry_points(group=ENTRY_POINT_GROUP):
        _add(found, _ops_of_entry_point(point), f"entry point '{point.name}'")
    return MappingProxyType(found)


def _add(found: dict[str, Op], ops: Iterable[Op], source: str) -> None:
    for op in ops:
        if found.setdefault(op.name, op) is not op:
            raise UsageError(f"{source} defines '{op.name}', which exists; choose a new name")


def _ops_of_entry_point(point: EntryPoint) -> tuple[Op, ...]:
    package = point.dist.name if point.dist else "the package"
    try:
        ops = tuple(_ops_of(point.load()))
        for op in ops:
            check(op)
    except Exception as error:
        raise EnvironmentUnusable(
            f"{package} names the ops '{point.value}', which do not load: {_said(error)}.",
            f"Correct, upgrade or uninstall {package}.",
        ) from error
    return ops


@cache
def _ops_of_file(file: Path) -> tuple[Op, ...]:
    module = _run_file(file)
    known = set(map(id, _installed().values()))
    # An op that the file imports, to build on its oracle or cases, is not the file's own.
    ops = tuple(op for op in _ops_of(module) if id(op) not in known)
    if not ops:
        raise UsageError(f"{file} defines no Op at module level; see docs/add-an-op.md")
    for op in ops:
        try:
            check(op)
        except UsageError as error:
            raise UsageError(f"{file}: {error}") from None
    return ops


def _run_file(file: Path) -> ModuleType:
    name = f"foundry_user_ops_{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
    if not file.is_file():
        raise UsageError(f"no file {file}; {FILES_VARIABLE} and --op-file take paths of .py files")
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise UsageError(f"cannot load ops from {file}: not a Python file; give the path of a .py")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and `inspect` look a module up by its name.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise UsageError(f"cannot load ops from {file}: {_said(error, file)}") from error
    return module


def _said(error: BaseException, file: Path | None = None) -> str:
    """The error in words, with the line of the user's file it came from."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(file)]
    where = f"line {lines[-1]}: " if lines else ""
    return f"{where}{type(error).__name__}: {error}"


def _ops_of(source: ModuleType | Op) -> Iterator[Op]:
    if isinstance(source, Op):
        yield source
        return
    seen: set[int] = set()
    for value in vars(source).values():
        for op in _held(value):
            if id(op) not in seen:
                seen.add(id(op))
                yield op


def _held(value: object) -> Iterator[Op]:
    """The op that a module-level name stands for, or the ops of its table."""
    match value:
        case Op():
            yield value
        case dict():
            yield from (member for member in value.values() if isinstance(member, Op))
        case tuple() | list():
            yield from (member for member in value if isinstance(member, Op))
