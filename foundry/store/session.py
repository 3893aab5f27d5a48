"""An open connection that the threads of a process take turns at, one transaction at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from types import TracebackType
from typing import Self

from sqlalchemy import Connection

from foundry.errors import EnvironmentUnusable
from foundry.store import schema
from foundry.store.connection import alone, transaction
from foundry.store.location import Location


class Session:
    """One connection. A `with` block closes it."""

    def __init__(self, location: Location, connection: Connection, *, read_only: bool) -> None:
        self.location = location
        self.read_only = read_only
        self._connection = connection
        self._turn = threading.RLock()

    def settle_schema(self) -> None:
        """See that the tables are those of this version; migrate them where that is allowed.

        Raises:
            EnvironmentUnusable: They are foreign, newer, or older and open for reading alone.
        """
        with self._reading() as connection:
            if self.read_only:
                schema.require_head(connection, self.location)
                return
            if schema.revision(connection, self.location) == schema.HEAD:
                return
        with self._writing() as connection:
            schema.upgrade(connection, self.location)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; a second call does nothing."""
        with self._turn, ExitStack() as held:
            with suppress(EnvironmentUnusable):  # without the lock it is closed all the same
                held.enter_context(alone(self.location, writing=not self.read_only))
            self._connection.close()
            self._connection.engine.dispose()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make everything in the block one transaction."""
        with self._writing():
            yield

    def connected(self, *, writing: bool) -> AbstractContextManager[Connection]:
        """An open transaction, for subjects with functions of their own, such as `lessons`."""
        return self._writing() if writing else self._reading()

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._turn:
            if self._connection.in_transaction():
                yield self._connection
                return
            with transaction(self._connection, self.location, writing=True):
                yield self._connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._turn:
            if self._connection.in_transaction():
                yield self._connection
                return
            with transaction(self._connection, self.location, writing=False):
                yield self._connection
