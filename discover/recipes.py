"""Recipe files: TOML in `runs/`, read into the settings of one command."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from discover.first_mistake import first_mistake
from foundry.errors import UsageError

R = TypeVar("R", bound=BaseModel)
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
        keys, words = first_mistake(kind, error)
        line = _line_of(text, keys)
        at = f"{path}, line {line}" if line else f"{path}"
        raise UsageError(f"{at}: '{'.'.join(keys)}': {words}") from None


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
