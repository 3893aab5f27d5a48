"""Chip files: one TOML file a chip, every figure a table of `value` and `source`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from foundry.chips.chip import Chip, Figure, Registers
from foundry.errors import UsageError, unknown

_REGISTERS = "threads_by_half_registers"
_TEXTS = ("name", "generation", "notes")
_FIGURES = tuple(f.name for f in fields(Chip) if f.name not in ("key", *_TEXTS, _REGISTERS))


def read(path: Path) -> Chip:
    """The chip that a file describes; the file's name is its key.

    Raises:
        UsageError: The file is missing or no TOML, or a key is unknown, missing or of another kind.
    """
    try:
        found = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"cannot read the chip file {path}: {error}") from None
    try:
        return _chip(path.stem, found)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def _chip(key: str, found: Mapping[str, Any]) -> Chip:
    known = (*_TEXTS, *_FIGURES, _REGISTERS)
    for given in found:
        if given not in known:
            raise unknown("key", given, known)
    name, generation, notes = (found.get(text) for text in _TEXTS)
    if not isinstance(name, str) or not isinstance(generation, int):
        raise UsageError('give name = "Apple M1 Max" and generation = 1')
    if not isinstance(notes or [], list) or not all(isinstance(n, str) for n in notes or []):
        raise UsageError(f"notes is {notes!r}; give a list of sentences")
    figures = {name: _figure(name, found[name]) for name in _FIGURES if name in found}
    registers = _registers(found[_REGISTERS]) if _REGISTERS in found else None
    return Chip(
        key,
        name,
        generation,
        **figures,
        threads_by_half_registers=registers,
        notes=tuple(notes or ()),
    )


def _figure(name: str, table: Any) -> Figure:
    value, source = _parts(name, table)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e12:
        raise UsageError(f"{name}: value is {value!r}; give a number above 0, or leave it out")
    return Figure(float(value), source)


def _registers(table: Any) -> Registers:
    value, source = _parts(_REGISTERS, table)
    try:
        threads = {int(registers): int(count) for registers, count in value.items()}
    except (AttributeError, TypeError, ValueError):
        raise UsageError(f"{_REGISTERS}: value is {value!r}; give {{ 104 = 1024 }}") from None
    return Registers(threads, source)


def _parts(name: str, table: Any) -> tuple[Any, str]:
    """Value and source: a figure without a source is nobody's."""
    if not isinstance(table, dict) or set(table) != {"value", "source"}:
        raise UsageError(f"{name} is {table!r}; give it a value and a source, and nothing else")
    source = table["source"]
    if not isinstance(source, str) or not source.strip():
        raise UsageError(f"{name}: source is {source!r}; say who published or measured it")
    return table["value"], source
