"""Reads and rewrites the code of a layer: its form, and the functions that it calls by name."""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from collections.abc import Iterable, Mapping
from types import FunctionType
from typing import Any


def form(function: Any) -> str:
    """The statements of a function without annotations, docstring and comments; empty: unknown.

    Two functions of one form do the same with the same names.
    """
    try:
        return form_of(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return ""


@functools.cache
def form_of(source: str) -> str:
    """The form of the one function that a text defines."""
    found = ast.parse(source).body[0]
    if not isinstance(found, ast.FunctionDef) or found.decorator_list:
        return ""
    for argument in (*found.args.args, *found.args.kwonlyargs):
        argument.annotation = None
    body = found.body
    if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]
    return ast.dump(found.args) + "".join(ast.dump(statement) for statement in body)


def is_any_of(function: Any, sources: Iterable[str]) -> bool:
    """Whether a function has the form of one of some texts."""
    found = form(function)
    return bool(found) and found in {form_of(textwrap.dedent(s).strip()) for s in sources}


def global_called(function: FunctionType, name: str, modules: Iterable[str]) -> Any:
    """What a function calls by a global name, if one of some modules defines it; None else."""
    if name not in function.__code__.co_names:
        return None
    found = function.__globals__.get(name)
    if found is None or getattr(found, "__module__", None) not in set(modules):
        return None
    return found


def with_globals(function: FunctionType, replaced: Mapping[str, Any]) -> FunctionType:
    """The same function, for which some global names stand for something else."""
    made = FunctionType(
        function.__code__,
        {**function.__globals__, **replaced},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    made.__kwdefaults__ = function.__kwdefaults__
    made.__dict__.update(function.__dict__)
    return made
