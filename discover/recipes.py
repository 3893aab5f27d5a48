"""Recipe files: TOML in `runs/`, read into the settings of one command."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from foundry.errors import UsageError, unknown

R = TypeVar("R", bound=BaseModel)
_NO_SUCH_KEY = {"extra_forbidden", "unexpected_keyword_argument"}
"""Kinds of errors: of a model, and of a dataclass."""
_HEADER = re.compile(r"\s*\[+([^\[\]]+)\]+")
_KEY = re.compile(r"\s*([\w.\"' -]+?)\s*=")


def read(path: Path, kind: type[R]) -> R:
    """Read a recipe file.

    Raises:
        UsageError: Missing, not TOML, or an entry that is no recipe's.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return kind.model_validate(tomllib.loads(text))
    except OSError as error:
        raise UsageError(f"cannot read the recipe {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}") from None
    except ValidationError as error:
        # A misspelt key is told before the one that is missing for it.
        first = min(error.errors(), key=lambda one: one["type"] == "missing")
        keys = tuple(str(part) for part in first["loc"])
        line = _line_of(text, keys)
        at = f"{path}, line {line}" if line else f"{path}"
        words = _words(kind, keys, first)
        raise UsageError(f"{at}: '{'.'.join(keys)}': {words}") from None


def _words(kind: type[BaseModel], keys: tuple[str, ...], error: ErrorDetails) -> str:
    """What is wrong with an entry; of a key that there is not, the nearest that there is."""
    if error["type"] in _NO_SUCH_KEY:
        return str(unknown("key", keys[-1], _keys_at(kind, keys[:-1])))
    return error["msg"].removeprefix("Value error, ")


def _keys_at(kind: Any, table: tuple[str, ...]) -> tuple[str, ...]:
    """The keys that a table may have."""
    for name in table:
        held = get_type_hints(kind).get(name)
        kind = next((a for a in get_args(held) if isinstance(a, type)), held)
    return tuple(get_type_hints(kind)) if kind is not None else ()


def _line_of(text: str, keys: tuple[str, ...]) -> int | None:
    """The line where an entry stands, or the nearest table around it; None where there is none."""
    table: tuple[str, ...] = ()
    seen = Counter[tuple[str, ...]]()
    found = None
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = entry = _numbered(line, _parts(header[1]), seen)
        elif key := _KEY.match(line):
            entry = (*table, *_parts(key[1]))
        else:
            continue
        if keys[: len(entry)] == entry:
            found = number
    return found


def _numbered(line: str, table: tuple[str, ...], seen: Counter[tuple[str, ...]]) -> tuple[str, ...]:
    """A table as errors name it: of those in double brackets with its number, from 0."""
    if not line.lstrip().startswith("[["):
        return table
    seen[table] += 1
    return (*table, str(seen[table] - 1))


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip(" \"'") for part in dotted.split("."))
