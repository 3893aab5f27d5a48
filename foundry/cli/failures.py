"""What an exception means to the person at the terminal: one line and an exit code."""

from __future__ import annotations

import errno
from dataclasses import dataclass

import click

from foundry.errors import EnvironmentUnusable, FoundryError

FAILED = 1
REJECTED = 4
INTERRUPTED = 130

_OS = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the disk quota is used up; free some space",
    errno.EROFS: "the file system is read-only; choose another place",
    errno.EACCES: "permission denied; choose another place, or change its permissions",
    errno.EPERM: "not permitted; choose another place, or change its permissions",
    errno.ENOENT: "no such file or folder; check the path",
    errno.EISDIR: "that is a folder; give a file",
    errno.ENOTDIR: "a part of the path is a file, not a folder; check the path",
    errno.EMFILE: "too many open files; raise `ulimit -n`",
    errno.ENOMEM: "out of memory; use fewer --workers",
}
_SQLITE = {
    "SQLITE_FULL": "the disk is full; free some space",
    "SQLITE_READONLY": "the database cannot be written; choose another --db, or make it writable",
    "SQLITE_CANTOPEN": "the database cannot be opened; check the folder of --db",
    "SQLITE_BUSY": "another process holds the database; wait for it, or choose another --db",
    "SQLITE_LOCKED": "another process holds the database; wait for it, or choose another --db",
    "SQLITE_NOTADB": "that file is not a database; choose another --db",
    "SQLITE_CORRUPT": "the database is damaged; restore a copy, or choose another --db",
    "SQLITE_IOERR": "the disk under the database reports an error; check it",
}


@dataclass(frozen=True)
class CommandFailure:
    """One line without a traceback, and the exit code."""

    message: str
    exit_code: int


def explain(error: BaseException) -> CommandFailure:
    """The line and exit code of any exception a command may raise."""
    if isinstance(error, FoundryError):
        return CommandFailure(_one_line(str(error)), error.exit_code)
    if isinstance(error, click.ClickException):
        return CommandFailure(_one_line(error.format_message()), error.exit_code)
    if isinstance(error, OSError) and (known := _OS.get(error.errno or 0)):
        return CommandFailure(_about(error.filename, known), EnvironmentUnusable.exit_code)
    if known := _database(error):
        return CommandFailure(known, EnvironmentUnusable.exit_code)
    return CommandFailure(
        f"internal error: {type(error).__name__}: {_one_line(str(error))}; "
        "run again with --debug for the traceback",
        FAILED,
    )


def _about(path: object, what: str) -> str:
    return f"{path}: {what}" if path else what


def _database(error: BaseException) -> str | None:
    """The line for an SQLite error, bare or as `orig` of an SQLAlchemy one; else None."""
    cause = getattr(error, "orig", None) or error
    name = getattr(cause, "sqlite_errorname", None)
    if not isinstance(name, str):
        return None
    for prefix, what in _SQLITE.items():
        if name.startswith(prefix):
            return what
    return None


def _one_line(text: str) -> str:
    return " ".join(text.split())
