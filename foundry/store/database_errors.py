"""Database errors as one clear line: what, where, what to do next."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from foundry.errors import EnvironmentUnusable

_PRIMARY = 0xFF  # extended SQLite codes keep the primary one in the low byte

_SQLITE = {
    sqlite3.SQLITE_FULL: (
        "the disk is full.",
        "Free some space and give the same command again; all that was saved is kept.",
    ),
    sqlite3.SQLITE_READONLY: (
        "the database cannot be written.",
        "Make the file and its folder writable, or choose another --db.",
    ),
    sqlite3.SQLITE_PERM: (
        "permission denied.",
        "Make the file and its folder accessible, or choose another --db.",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "the database cannot be opened.",
        "Check that the folder exists and that you may write in it, or choose another --db.",
    ),
    sqlite3.SQLITE_BUSY: (
        "another process has held the database for too long.",
        "Wait for it and give the same command again, or choose another --db.",
    ),
    sqlite3.SQLITE_NOTADB: (
        "this file is not a database.",
        "Choose another --db, or move the file away.",
    ),
    sqlite3.SQLITE_CORRUPT: (
        "the database is damaged.",
        "Move it away, or rescue it: sqlite3 FILE .recover | sqlite3 rescued.db.",
    ),
    sqlite3.SQLITE_IOERR: (
        "the disk reports an error.",
        "Check the disk and its free space; all that was saved is kept.",
    ),
}


@contextmanager
def explained(place: object) -> Iterator[None]:
    """Turn faults of disk and database into `EnvironmentUnusable`; others pass unchanged."""
    try:
        yield
    except DBAPIError as error:
        raise _explanation(place, error) or error from error


def unwritable(place: object, error: OSError) -> EnvironmentUnusable:
    """What an `OSError` on a file or folder of the database means."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        what, fix = _SQLITE[sqlite3.SQLITE_FULL]
        return EnvironmentUnusable(f"{place}: {what}", fix)
    reason = (error.strerror or str(error)).lower()
    return EnvironmentUnusable(
        f"{place}: cannot be written ({reason}).",
        "Make it writable, or choose another --db.",
    )


def _explanation(place: object, error: DBAPIError) -> EnvironmentUnusable | None:
    code = getattr(error.orig, "sqlite_errorcode", None)
    known = _SQLITE.get(code & _PRIMARY) if code is not None else None
    if known is not None:
        return EnvironmentUnusable(f"{place}: {known[0]}", known[1])
    if error.connection_invalidated or (code is None and _unreachable(error)):
        reason = str(error.orig).strip().partition("\n")[0]
        return EnvironmentUnusable(
            f"{place}: no connection to the database ({reason}).",
            "Check the server and the URL; all that was saved is kept.",
        )
    return None


def _unreachable(error: DBAPIError) -> bool:
    """Servers report a lost or refused connection as an OperationalError without a statement."""
    return type(error).__name__ == "OperationalError" and error.statement is None
