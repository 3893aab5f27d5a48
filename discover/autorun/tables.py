"""The tables of a recipe that are by op: whether every name and every shape is one. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from foundry.errors import UsageError, unknown
from ops import registry
from ops.cases import at_shapes

Shapes = tuple[dict[str, int], ...]
"""Sizes of an op's axes, several times."""
Fault = tuple[tuple[str | int, ...], str, Any]
"""Where in a table, why, and what stands there."""


def unknown_ops(table: Mapping[str, Any]) -> Iterator[Fault]:
    """Names that no op has, with the nearest."""
    for name in table:
        if name not in registry.all_ops():
            yield (name,), str(unknown("op", name, registry.all_ops())), table[name]


def missing_dtypes(ops: Iterable[str], dtypes: Iterable[str]) -> Iterator[Fault]:
    """Dtypes that one of the named ops does not have."""
    known = registry.all_ops()
    for op, dtype in itertools.product(ops, dtypes):
        if op in known and dtype not in known[op].dtypes:
            yield (dtype,), str(unknown(f"dtype of {op}", dtype, known[op].dtypes)), dtype


def misshapen(table: Mapping[str, Shapes], dtypes: Collection[str]) -> Iterator[Fault]:
    """Shapes that an op does not have in one of the dtypes; ops that are none have no faults."""
    for name, shapes in table.items():
        if not shapes:
            yield (name,), "name at least one shape", shapes
        for place, sizes in enumerate(shapes):
            if why := _refusal(name, sizes, dtypes):
                yield (name, place), why, sizes


def _refusal(name: str, sizes: Mapping[str, int], dtypes: Collection[str]) -> str:
    """Why an op has no such sizes; empty where it has."""
    op = registry.all_ops().get(name)
    if op is None:
        return ""
    try:
        for dtype in [dtype for dtype in dtypes if dtype in op.dtypes] or op.dtypes:
            at_shapes(op, [sizes]).workloads("bench", dtype)
    except UsageError as error:
        return str(error)
    return ""


def refuse(title: str, faults: Iterable[Fault]) -> None:
    """Refuse a table, each fault with its place.

    Raises:
        ValidationError: There is a fault.
    """
    errors = [
        InitErrorDetails(
            type=PydanticCustomError("table", "{why}", {"why": why}), loc=where, input=given
        )
        for where, why, given in faults
    ]
    if errors:
        raise ValidationError.from_exception_data(title, errors)
