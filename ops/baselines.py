"""Baselines: what a user would write today with MLX, kept as text.

As text a baseline can be run, shown to a proposer and shipped in a catalog word for word. MLX is
asked for only when one is bound.
"""

from __future__ import annotations

import importlib.metadata
import math
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ops.errors import UsageError
from ops.texts.mlx import BUILTINS, faults, names_in, statements, unknown_to_mlx

Value = float | int | bool | str | None
Bound = Callable[..., tuple[Any, ...]]
"""A baseline whose numbers are set: takes the input arrays in the op's order."""

RESERVED = ("mx", "math", "dtype")
"""Names that mean something of their own in every baseline."""


@dataclass(frozen=True)
class Baseline:
    """An MLX expression, or a few lines that end in `return`.

    The text may use `mx`, `math`, the op's inputs, its parameters as Python numbers, its axis
    sizes as integers, `dtype`, the MLX dtype that `T` stands for, and further type variables under
    their own names. An optional input that is absent is None. It gives one array, or a
    tuple of as many as the op has outputs. Arrays of size 0 never reach it (`ops.empty`).
    """

    text: str
    compiled: bool = False
    """Whether it runs through `mx.compile`."""
    traced: tuple[str, ...] = ()
    """Parameters and axis sizes that reach a compiled text as 0-d arrays (float32, int32), so that
    every value shares one compiled function, as a position does in a model."""

    @property
    def body(self) -> str:
        """The text as the body of a function.

        Raises:
            MlxTextError: It is not Python.
        """
        return statements(self.text)

    def uses(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of the names that the text mentions, in the order given."""
        mentioned = names_in(self.text)
        return tuple(name for name in names if name in mentioned)

    def problems(self, known: Iterable[str], numbers: Iterable[str]) -> Iterator[str]:
        """What is wrong with it, in words.

        Args:
            known: Names of the op's inputs, parameters and axes, and `dtype`.
            numbers: Those of them that may be `traced`.
        """
        yield from faults(self.text, known)
        if self.traced and not self.compiled:
            yield "traced is for compiled=True alone"
        for name in self.traced:
            if name not in tuple(numbers):
                yield f"traced names '{name}', which is no parameter and no axis"

    def bind(self, inputs: tuple[str, ...], values: Mapping[str, Value]) -> Bound:
        """The function of the input arrays alone.

        Args:
            inputs: Names of the op's inputs that are given.
            values: Every parameter and axis size by name, `dtype` and type variables as names of
                dtypes (`float32`), and None for inputs that are absent.

        Raises:
            UsageError: This MLX lacks something that the text asks for.
        """
        used = self.uses(values)
        return _bound(self, inputs, tuple((n, type(values[n]), values[n]) for n in used))


@lru_cache(maxsize=512)
def _bound(
    baseline: Baseline, inputs: tuple[str, ...], typed: tuple[tuple[str, type, Value], ...]
) -> Bound:
    """The types stand in the key since 1, 1.0 and True are equal and mean different arithmetic."""
    import mlx.core as mx

    values = {name: value for name, _, value in typed}
    fixed = {n: _as_used(v) for n, v in values.items() if n not in baseline.traced}
    traced: list[Any] = [_as_array(values[name]) for name in baseline.traced if name in values]
    traced_names = tuple(n for n in baseline.traced if n in values)
    function = _function(baseline, (*inputs, *traced_names), tuple(fixed))

    def run(*arrays: Any) -> tuple[Any, ...]:
        found = function(*arrays, **fixed)
        return tuple(found) if isinstance(found, tuple | list) else (found,)

    if not baseline.compiled:
        return run
    # One compiled function per shape: MLX traces anew where a shape is new, and is never wrong
    # about a size, as it can be with shapeless=True.
    compiled = mx.compile(run)
    return (lambda *arrays: tuple(compiled(*arrays, *traced))) if traced else compiled


def _as_array(value: Any) -> Any:
    import mlx.core as mx

    return mx.array(value)


def _as_used(value: Value) -> Any:
    import mlx.core as mx

    return getattr(mx, value) if isinstance(value, str) else value


@lru_cache(maxsize=512)
def _function(
    baseline: Baseline, arrays: tuple[str, ...], values: tuple[str, ...]
) -> Callable[..., Any]:
    import mlx.core as mx

    if missing := unknown_to_mlx(baseline.text, mx):
        raise UsageError(f"{missing} is not in MLX {importlib.metadata.version('mlx')}")
    arguments = ", ".join([*arrays, *(["*", *values] if values else [])])
    source = f"def baseline({arguments}):\n{textwrap.indent(baseline.body, '    ')}\n"
    namespace: dict[str, Any] = {"__builtins__": dict(BUILTINS), "mx": mx, "math": math}
    exec(compile(source, "<baseline>", "exec"), namespace)
    function: Callable[..., Any] = namespace["baseline"]
    return function
