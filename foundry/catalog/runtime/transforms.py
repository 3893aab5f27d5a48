"""Has MLX's transformations find plain MLX where they cannot pass through a kernel.

MLX passes backwards around a kernel by a rule that a package states. Forwards, over a batch, and
into a file it walks through the kernel itself, and raises; nothing inside of a function tells
which of them is at work. So the package is told: while `mx.vmap`, `mx.jvp`, an export or a
compilation for any shape traces a function, `is_tracing_through` holds, and calls take the
fallback.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import mlx.core as mx

Traced = Callable[..., Any]
_through: ContextVar[bool] = ContextVar("through", default=False)
is_tracing_through = _through.get
_bare: ContextVar[bool] = ContextVar("bare", default=False)
is_bare = _bare.get
"""Whether what is traced may state no rule for its gradient either: into a file, for any shape."""


@contextmanager
def tracing_through(*, bare: bool = True) -> Iterator[None]:
    """Calls inside take the fallback; where `bare`, with MLX's own gradient."""
    through, of_rules = _through.set(True), _bare.set(bare or is_bare())
    try:
        yield
    finally:
        _bare.reset(of_rules)
        _through.reset(through)


def install() -> None:
    """Tell this package of transformations that are made from now on."""
    for name, place in (("vmap", 0), ("jvp", 0), ("export_function", 1), ("exporter", 1)):
        setattr(mx, name, _telling(getattr(mx, name), place))
    mx.compile = _compiling(mx.compile)


def _telling(transformation: Callable[..., Any], place: int) -> Callable[..., Any]:
    """A transformation whose function, the argument at a place, runs as being traced through.

    Those that write a file take the name of it first.
    """

    @functools.wraps(transformation)
    def transform(*arguments: Any, **named: Any) -> Any:
        given = list(arguments)
        if place < len(given):
            given[place] = _traced(given[place], bare=bool(place))
        elif "fun" in named:
            named["fun"] = _traced(named["fun"], bare=bool(place))
        return transformation(*given, **named)

    return transform


def _compiling(transformation: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(transformation)
    def transform(fun: Any, *arguments: Any, **named: Any) -> Any:
        for_any_shape = named.get("shapeless") or arguments[2:3] == (True,)
        return transformation(
            _traced(fun, bare=True) if for_any_shape else fun, *arguments, **named
        )

    return transform


def _traced(function: Traced, *, bare: bool) -> Traced:
    @functools.wraps(function, updated=())
    def run(*arguments: Any, **named: Any) -> Any:
        with tracing_through(bare=bare):
            return function(*arguments, **named)

    return run
