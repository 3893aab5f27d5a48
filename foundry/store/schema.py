"""Which revision a database has, and bringing it to the newest one.

Alembic is imported only when there is something to do: a database at `HEAD` opens without it.
"""

from __future__ import annotations

import threading
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from foundry.errors import EnvironmentUnusable
from foundry.store.location import Location
from foundry.store.serverlock import SCHEMA, await_turn

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006")
"""Every revision in order; a test holds it against the files in `migrations/versions`."""
HEAD = REVISIONS[-1]
VERSION_TABLE = "alembic_version"
MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATING = threading.Lock()
"""Alembic knows one migration at a time in a process, whatever its database."""


def revision(connection: Connection, location: Location) -> str | None:
    """The stored revision; None for an empty database.

    Raises:
        EnvironmentUnusable: The tables are of another program, or of a newer metal-foundry.
    """
    tables = set(inspect(connection).get_table_names())
    if not tables:
        return None
    if VERSION_TABLE not in tables:
        raise EnvironmentUnusable(
            f"{location} is a database of another program (table {min(tables)}).",
            "Choose another --db.",
        )
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    if found is not None and found not in REVISIONS:
        raise EnvironmentUnusable(
            f"{location} has schema revision {found}; this metal-foundry knows up to {HEAD}.",
            "Upgrade metal-foundry (pip install -U metal-foundry), or choose another --db.",
        )
    return None if found is None else str(found)


def require_head(connection: Connection, location: Location) -> None:
    """Refuse a database that must be written before it can be read.

    Raises:
        EnvironmentUnusable: Empty, of another program, older or newer.
    """
    found = revision(connection, location)
    if found is None:
        raise missing(location, "is empty")
    if found != HEAD:
        raise EnvironmentUnusable(
            f"{location} has schema revision {found}, older than {HEAD}, and is opened read-only.",
            "Any command that writes upgrades it, such as foundry run.",
        )


def upgrade(connection: Connection, location: Location) -> None:
    """Bring the database to `HEAD`, inside the transaction that is open on the connection.

    Another process may be about to do the same: who comes second finds it done.
    """
    await_turn(connection, SCHEMA)
    if revision(connection, location) == HEAD:
        return
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    with _MIGRATING:
        command.upgrade(config, "head")


def missing(location: Location, what: str = "does not exist") -> EnvironmentUnusable:
    """The error of a report that has nothing to read."""
    return EnvironmentUnusable(
        f"database {location} {what}.",
        "Fill it first, for example: foundry run --ops softmax --budget 20.",
    )
