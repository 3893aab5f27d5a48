"""Cuts a baseline out of the module it lives in, with all it needs and nothing else.

A catalog depends on mlx alone, so it cannot import the registry; it carries the lines themselves.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from foundry.errors import UsageError

_ALLOWED_IMPORTS = frozenset(sys.stdlib_module_names) | {"mlx"}


def slice_source(functions: Iterable[Callable[..., Any]]) -> str:
    """Source of module-level functions of one module and of everything they refer to.

    Raises:
        UsageError: A function is not at module level, or it needs an import beyond mlx.
    """
    chosen = list(functions)
    module = inspect.getmodule(chosen[0])
    if module is None:
        raise UsageError(f"the baseline {chosen[0].__qualname__} has no source to ship")
    tree = ast.parse(inspect.getsource(module))
    owners = {name: node for node in tree.body for name in _bound(node)}
    needed: set[int] = set()
    pending = [_top_level(function, owners) for function in chosen]
    while pending:
        node = owners[pending.pop()]
        if id(node) in needed:
            continue
        needed.add(id(node))
        _check_import(node, module.__name__)
        pending += [name for name in _names(node) if name in owners]
    kept = [ast.unparse(node) for node in tree.body if id(node) in needed]
    return "from __future__ import annotations\n\n" + "\n\n".join(kept) + "\n"


def _top_level(function: Callable[..., Any], owners: dict[str, ast.stmt]) -> str:
    name = function.__qualname__
    if name not in owners:
        raise UsageError(
            f"the baseline {name} is not a function at module level; a catalog ships its source, "
            "so write it with def at module level"
        )
    return name


def _bound(node: ast.stmt) -> Iterator[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            for alias in names:
                yield alias.asname or alias.name.split(".")[0]
        case ast.Assign(targets=targets):
            yield from (n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name


def _names(node: ast.stmt) -> set[str]:
    """Module-level names that running the statement may look up.

    Annotations never run; a name that a function binds itself is its own.
    """
    skipped = {id(n) for annotation in _annotations(node) for n in ast.walk(annotation)}
    names = [n for n in ast.walk(node) if isinstance(n, ast.Name) and id(n) not in skipped]
    if not isinstance(node, ast.FunctionDef):
        return {n.id for n in names}
    outside = {n.id for d in node.decorator_list for n in ast.walk(d) if isinstance(n, ast.Name)}
    return outside | ({n.id for n in names} - set(_locals(node, names)))


def _locals(node: ast.FunctionDef, names: list[ast.Name]) -> Iterator[str]:
    yield from (n.id for n in names if isinstance(n.ctx, ast.Store))
    for part in ast.walk(node):
        if isinstance(part, ast.FunctionDef) and part is not node:
            yield part.name
        if isinstance(part, ast.arg):
            yield part.arg
        if isinstance(part, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name.split(".")[0] for alias in part.names)


def _annotations(node: ast.stmt) -> Iterator[ast.expr]:
    for part in ast.walk(node):
        if isinstance(part, ast.arg | ast.AnnAssign) and part.annotation:
            yield part.annotation
        if isinstance(part, ast.FunctionDef) and part.returns:
            yield part.returns


def _check_import(node: ast.stmt, module: str) -> None:
    found = [n for n in ast.walk(node) if isinstance(n, ast.Import | ast.ImportFrom)]
    for statement in found:
        for name in _imported(statement):
            if name.split(".")[0] not in _ALLOWED_IMPORTS:
                raise UsageError(
                    f"a baseline in {module} imports {name}; a catalog depends on mlx alone, "
                    "so write the baseline with mlx and the standard library"
                )


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    if isinstance(node, ast.ImportFrom):
        yield node.module or "."
        return
    yield from (alias.name for alias in node.names)
