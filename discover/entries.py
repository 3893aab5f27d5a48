"""What entries of recipes may hold: names of ops, dtypes, devices and chips. Pure.

Told with its place before a night is spent, not in the middle of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from foundry import engines
from foundry.chips import registry as chips
from foundry.chips.device import chip_named
from foundry.errors import UsageError, unknown
from ops import registry
from ops.spec import dtypes_of

T = TypeVar("T")
Fault = tuple[tuple[str | int, ...], str, Any]
"""Where in a table, why, and what stands there."""


def told(ask: Callable[[], T]) -> T:
    """What a check gives; its refusal as pydantic reads it, which knows the entry.

    Raises:
        ValueError: It refused.
    """
    try:
        return ask()
    except UsageError as error:
        raise ValueError(str(error)) from None


def device(name: str) -> str:
    """A device; of an engine of one's own, `module:Class`, that it loads shows once it is asked.

    Raises:
        ValueError: There is none; with the nearest.
    """
    if chip_name := chip_named(name):
        chip(chip_name)
    elif ":" not in name and name not in engines.names():
        raise ValueError(str(unknown("device", name, engines.names())))
    return name


def chip(name: str) -> str:
    """A chip.

    Raises:
        ValueError: There is none; with the nearest.
    """
    told(lambda: chips.get(name))
    return name


def unknown_dtypes(names: Iterable[str]) -> Iterator[Fault]:
    """Dtypes that no op has, with the nearest."""
    known = tuple(dtypes_of(tuple(registry.all_ops().values())))
    for name in names:
        if name not in known:
            yield (name,), str(unknown("dtype", name, known)), name


def unknown_families(names: Iterable[str]) -> Iterator[Fault]:
    """Families that no op is of, with the nearest."""
    known = sorted({op.family for op in registry.all_ops().values()})
    for name in names:
        if name not in known:
            yield (name,), str(unknown("family", name, known)), name


def unknown_ops(names: Iterable[str]) -> Iterator[Fault]:
    """Names that no op has, with the nearest."""
    for name in names:
        if name not in registry.all_ops():
            yield (name,), str(unknown("op", name, registry.all_ops())), name


def missing_dtypes(ops: Iterable[str], dtypes: Iterable[str]) -> Iterator[Fault]:
    """Dtypes that one of the named ops does not have."""
    known = registry.all_ops()
    for op, dtype in itertools.product(ops, dtypes):
        if op in known and dtype not in known[op].dtypes:
            yield (dtype,), str(unknown(f"dtype of {op}", dtype, known[op].dtypes)), dtype


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
