"""Advisory locks beside a database file; they vanish with a killed process."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from foundry.errors import EnvironmentUnusable
from foundry.store.database_errors import unwritable

_POLL_S = 0.002


class FileLock:
    """An exclusive lock `name` in the folder `FILE.locks`."""

    def __init__(self, database: Path, name: str) -> None:
        database = database.resolve()  # one lock, whatever link led here
        self._path = database.with_name(f"{database.name}.locks") / name
        self._descriptor: int | None = None

    def try_acquire(self) -> bool:
        """Take the lock if nobody, here or in another process, holds it.

        Raises:
            EnvironmentUnusable: Its file cannot be written, or not be locked.
        """
        try:
            self._path.parent.mkdir(exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise unwritable(self._path.parent.parent, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except OSError as error:  # not every file system of a network knows locks
            os.close(descriptor)
            raise EnvironmentUnusable(
                f"{self._path.parent}: files cannot be locked there ({error.strerror}).",
                "Choose a --db on a disk of this machine.",
            ) from error
        if not self._is_current(descriptor):
            os.close(descriptor)
            return self.try_acquire()
        self._descriptor = descriptor
        return True

    def _is_current(self, descriptor: int) -> bool:
        """Whether the file is still the one of that name: its last holder may have removed it."""
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self._path))
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Give the lock back; without effect when it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def discard(self) -> None:
        """Give the lock back and remove its file."""
        if self._descriptor is not None:
            with suppress(OSError):
                self._path.unlink()
            self.release()

    @contextmanager
    def held(self, timeout_s: float) -> Iterator[None]:
        """Hold the lock, waiting for it.

        Raises:
            EnvironmentUnusable: Another process held it all that time.
        """
        give_up = time.monotonic() + timeout_s
        while not self.try_acquire():
            if time.monotonic() > give_up:
                raise EnvironmentUnusable(
                    f"{self._path}: another process has held this lock for {timeout_s:g} s.",
                    "Wait for it and give the same command again, or choose another --db.",
                )
            time.sleep(_POLL_S)
        try:
            yield
        finally:
            self.release()
