"""One connection per process, set up so that a kill or a power cut loses nothing committed.

SQLite settings and their measured reasons: WAL and synchronous=FULL; BEGIN IMMEDIATE for every
writing transaction, because the driver's own deferred one loses updates silently; no memory map.

SQLite 3.7.0 to 3.51.2 may corrupt a WAL database when two connections write or checkpoint in the
same instant (sqlite.org/wal.html#walresetbug). With such a version a file lock holds all writers
of all processes apart.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import StaticPool

from foundry.store.database_errors import explained
from foundry.store.filelock import FileLock
from foundry.store.location import Location

BUSY_TIMEOUT_S = 30
FIRST_FIXED_SQLITE = (3, 51, 3)


def connect(location: Location, *, read_only: bool) -> Connection:
    """A connection whose transactions start as `writing` says."""
    engine = _sqlite(location, read_only) if _is_sqlite(location) else create_engine(location.url)
    return engine.connect()


@contextmanager
def transaction(connection: Connection, location: Location, *, writing: bool) -> Iterator[None]:
    """All or nothing: commits at the end, rolls back on any exception.

    Raises:
        EnvironmentUnusable: The disk, the file or the server failed.
    """
    connection.info["begin"] = "BEGIN IMMEDIATE" if writing else "BEGIN"
    with explained(location), alone(location, writing=writing), connection.begin():
        yield


def alone(location: Location, *, writing: bool) -> AbstractContextManager[None]:
    """Around all that may write or checkpoint, opening and closing included."""
    fixed = sqlite3.sqlite_version_info >= FIRST_FIXED_SQLITE
    if not writing or location.path is None or fixed:
        return nullcontext()
    return FileLock(location.path, "writer").held(timeout_s=BUSY_TIMEOUT_S)


def _is_sqlite(location: Location) -> bool:
    return location.url.get_backend_name() == "sqlite"


def _sqlite(location: Location, read_only: bool) -> Engine:
    def opened() -> sqlite3.Connection:
        target, uri = _target(location, read_only)
        connection = sqlite3.connect(
            target, uri=uri, check_same_thread=False, timeout=BUSY_TIMEOUT_S, isolation_level=None
        )
        try:
            _settle(connection, read_only)
        except BaseException:
            connection.close()
            raise
        return connection

    engine = create_engine("sqlite://", creator=opened, poolclass=StaticPool)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.info.get("begin", "BEGIN"))

    return engine


def _target(location: Location, read_only: bool) -> tuple[str, bool]:
    if location.path is None:
        return ":memory:", False
    if not read_only:
        return str(location.path), False
    mode = "mode=ro" + ("&immutable=1" if _cannot_change(location.path) else "")
    return f"file:{quote(str(location.path.resolve()))}?{mode}", True


def _cannot_change(path: Path) -> bool:
    """A cleanly closed file in a folder we may not write in, where SQLite cannot put its index."""
    log = path.with_name(f"{path.name}-wal")
    return not log.exists() and not os.access(path.parent, os.W_OK, effective_ids=True)


def _settle(connection: sqlite3.Connection, read_only: bool) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA mmap_size = 0")
    if read_only:
        connection.execute("PRAGMA query_only = ON")
        return
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")  # macOS: fsync alone stays in the drive's cache
