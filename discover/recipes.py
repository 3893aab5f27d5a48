"""Recipe files: TOML in `runs/`, read into the settings of one command."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from foundry.errors import UsageError

R = TypeVar("R", bound=BaseModel)


def read(path: Path, kind: type[R]) -> R:
    """Read a recipe file.

    Raises:
        UsageError: Missing, not TOML, or an entry that is no recipe's.
    """
    try:
        return kind.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"cannot read the recipe {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{path}: '{where}': {first['msg']}") from None
