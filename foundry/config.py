"""`foundry.toml`: the settings of a project, below flags and `FOUNDRY_*` variables.

Top-level keys (`db`, `device`, `seed`) hold for every command; a table holds for the command of
its name, dashes as they are: `[run]`, `[export-sft]`; `[discover.search]` for `discover search`.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from foundry.errors import UsageError, unknown

FILE_NAME = "foundry.toml"
FILE_VARIABLE = "FOUNDRY_CONFIG"
SHARED_KEYS = ("db", "device", "seed")
OTHER_PROGRAMS = ("discover",)


@dataclass(frozen=True)
class Settings:
    """The parsed file; `path` is None when there is none."""

    values: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None


def find(start: Path) -> Path | None:
    """`foundry.toml` of a folder or of one above it, no higher than the root of its repository."""
    for folder in (start, *start.parents):
        if (folder / FILE_NAME).is_file():
            return folder / FILE_NAME
        if (folder / ".git").exists():
            return None
    return None


def read() -> Settings:
    """The settings that hold here: `$FOUNDRY_CONFIG`, else the nearest `foundry.toml`, else none.

    Raises:
        UsageError: The file is named but missing, or is not TOML.
    """
    named = os.environ.get(FILE_VARIABLE)
    path = Path(named) if named else find(Path.cwd())
    if path is None:
        return Settings()
    try:
        return Settings(tomllib.loads(path.read_text()), path)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}; unset {FILE_VARIABLE}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}") from None


def command_table(
    settings: Settings, program_table: str | None, commands: Collection[str], command: str
) -> Mapping[str, Any]:
    """The table of one command, without the shared keys.

    Args:
        settings: The parsed file.
        program_table: Table that holds the program's command tables; None: the top level.
        commands: Names of the program's commands.
        command: The command in question.

    Raises:
        UsageError: A key of the program's scope that is neither shared nor a command.
    """
    scope = settings.values if program_table is None else _table(settings, program_table)
    known = (*commands, *SHARED_KEYS, *OTHER_PROGRAMS) if program_table is None else commands
    for key in scope:
        if key not in known:
            raise UsageError(f"{settings.path}: {unknown('setting', key, known)}")
    return _table(settings, command, scope)


def option_defaults(
    settings: Settings, table: Mapping[str, Any], where: str, options: Mapping[str, str]
) -> dict[str, Any]:
    """Defaults of one command by parameter name, the shared keys below its own table.

    Args:
        settings: The parsed file.
        table: The command's own table, keyed as its flags are: `max-cost` or `max_cost`.
        where: Name of the table, for messages.
        options: Parameter name by flag without dashes.

    Raises:
        UsageError: A key that is no option of the command, with the nearest names.
    """
    found = {
        options[key]: settings.values[key]
        for key in SHARED_KEYS
        if key in settings.values and key in options
    }
    for key, value in table.items():
        flag = key.replace("_", "-")
        if flag not in options:
            raise UsageError(f"{settings.path}: {unknown(f'option of [{where}]', key, options)}")
        found[options[flag]] = value
    return found


def _table(
    settings: Settings, name: str, scope: Mapping[str, Any] | None = None
) -> Mapping[str, Any]:
    value = (settings.values if scope is None else scope).get(name, {})
    if not isinstance(value, dict):
        raise UsageError(f"{settings.path}: '{name}' is a table: [{name}]")
    return value
