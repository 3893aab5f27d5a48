"""Locks of a PostgreSQL server: a connection holds them, and they vanish with it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress

from sqlalchemy import Connection, func, select

_SPACE = 0x4D464F55
"""Of our locks among those of others in the same database."""
SCHEMA = 0
"""Number of the lock of who makes or migrates the tables; runs are numbered from 1."""


def await_turn(connection: Connection, number: int) -> None:
    """Hold a lock for the rest of a transaction, waiting for it; on other databases do nothing."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_SPACE, number)))


class ServerLock:
    """An exclusive lock with a number.

    Args:
        connected: Opens a transaction on the connection that is to hold it.
        number: Of the lock.
    """

    def __init__(
        self, connected: Callable[[], AbstractContextManager[Connection]], number: int
    ) -> None:
        self._connected = connected
        self._number = number

    def try_acquire(self) -> bool:
        """Take the lock if no other connection holds it."""
        with self._connected() as connection:
            taken = select(func.pg_try_advisory_lock(_SPACE, self._number))
            return bool(connection.execute(taken).scalar_one())

    def discard(self) -> None:
        """Give the lock back; one whose connection is gone is given back already."""
        with suppress(Exception), self._connected() as connection:
            connection.execute(select(func.pg_advisory_unlock(_SPACE, self._number)))
