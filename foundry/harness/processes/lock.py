"""The device lock: builds and checks share a device, timing has it alone.

Advisory file locks, so they hold between threads, processes and separate commands, and vanish with
a killed process. A turnstile in front keeps a waiting timing job from being starved by builds.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class DeviceLock:
    """Shared and exclusive use of one device by everything on this machine.

    Args:
        device: Name of the device; commands that name the same device wait for one another.
        folder: Where the lock files live; by default a folder of the user.
    """

    def __init__(self, device: str, folder: Path | None = None) -> None:
        self._folder = folder or _default_folder()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._device = device

    @contextmanager
    def shared(self) -> Iterator[int]:
        """Hold the device together with others: building, checking results.

        Gives the descriptor of the lock, with which it can be let go for a while.
        """
        with self._held("turnstile", fcntl.LOCK_EX):
            held = self._open("device", fcntl.LOCK_SH)
        try:
            yield held
        finally:
            os.close(held)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the device alone: timing."""
        with self._held("turnstile", fcntl.LOCK_EX), self._held("device", fcntl.LOCK_EX):
            yield

    def is_taken(self) -> bool:
        """Whether somebody times on the device now, so that others wait."""
        path = self._folder / f"{self._device}.device.lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    @contextmanager
    def _held(self, what: str, mode: int) -> Iterator[None]:
        descriptor = self._open(what, mode)
        try:
            yield
        finally:
            os.close(descriptor)

    def _open(self, what: str, mode: int) -> int:
        path = self._folder / f"{self._device}.{what}.lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, mode)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


def _default_folder() -> Path:
    # The user's own folder, where the system has one: TMPDIR may differ between commands. After
    # `su` it is another user's, and in a container there may be none where the variable says.
    own = os.environ.get("XDG_RUNTIME_DIR", "")
    folder = own if os.access(own, os.W_OK | os.X_OK) else tempfile.gettempdir()
    return Path(folder) / f"metal-foundry-{os.getuid()}"
