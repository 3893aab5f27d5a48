"""Compiled kernels on disk: found by content, bounded in size, safe to share between processes.

A build is a shared object `<key>.so`, or `<key>.log` with the compiler's words when the kernel does
not build; `builder` says what the keys are. Files appear whole (written beside, then renamed) and
are never changed, so readers need no lock. None is empty: what a machine that lost its power leaves
of a file is, and is made anew. When the cache outgrows its limit the files used longest ago go
first.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from foundry.errors import EnvironmentUnusable

LIMIT_BYTES = 512 * 1024 * 1024
_TOUCH_AFTER_S = 3600
_SWEEP_EVERY_S = 120
_SWEPT = "swept"
"""A file whose time is that of the last sweep: a builder may live for one kernel, and looking at
every file of a full cache takes longer than a build."""
_HELD = ".held"
"""A file in the folder of a build, locked for as long as that goes on."""
_ABANDONED_AFTER_S = 3600
"""By the clock of the wall, which goes on while a machine sleeps in the middle of a build."""


def default_directory() -> Path:
    """Where builds are kept: a folder of its own, for who compiles kernels may write it all."""
    return root_directory() / "builds"


def root_directory() -> Path:
    """`FOUNDRY_CACHE_DIR`, or the platform's folder for caches."""
    chosen = os.environ.get("FOUNDRY_CACHE_DIR")
    if chosen:
        return Path(chosen).expanduser().absolute()
    if sys.platform == "darwin":
        return _home() / "Library" / "Caches" / "metal-foundry"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else _home() / ".cache") / "metal-foundry"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # no HOME, and a user that the system does not know, as in a container
        return Path(tempfile.gettempdir())


@dataclass
class BuildCache:
    """The cache in `directory`, which is made when missing.

    Raises:
        EnvironmentUnusable: when the folder cannot be written.
    """

    directory: Path
    limit_bytes: int = LIMIT_BYTES

    def __post_init__(self) -> None:
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            writable = os.access(self.directory, os.W_OK | os.X_OK)
        except OSError:
            writable = False
        if not writable:
            raise EnvironmentUnusable(
                f"the build cache '{self.directory}' cannot be written.",
                "Set FOUNDRY_CACHE_DIR to a folder that can.",
            )

    def find(self, name: str) -> Path | None:
        """The file of this name, marked as used; None when it is not there."""
        path = self.path(name)
        try:
            found = path.stat()
        except FileNotFoundError:
            return None
        if not found.st_size:
            return None
        age_s = time.time() - found.st_mtime
        if age_s > _TOUCH_AFTER_S:
            self._touch(path)
        return path

    def put(self, name: str, write: Callable[[Path], None]) -> Path:
        """Store what `write` writes to the path it is given, which is not nothing, under this name.

        Raises:
            EnvironmentUnusable: when the disk is full or the folder was taken away.
        """
        path = self.path(name)
        with self.scratch() as scratch:
            path.parent.mkdir(exist_ok=True)
            new = scratch / path.name
            write(new)
            os.replace(new, path)
        if self._is_due():
            self.sweep()
        return path

    def _is_due(self) -> bool:
        """Whether no process has swept for a while."""
        try:
            age_s = time.time() - (self.directory / _SWEPT).stat().st_mtime
        except FileNotFoundError:
            return True
        return not 0 <= age_s < _SWEEP_EVERY_S

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder beside the files, removed afterwards.

        Raises:
            EnvironmentUnusable: when the disk is full or the folder was taken away.
        """
        try:
            with (
                tempfile.TemporaryDirectory(dir=self.directory, prefix="tmp-") as folder,
                (Path(folder) / _HELD).open("w") as held,
            ):
                fcntl.flock(held, fcntl.LOCK_EX)
                yield Path(folder)
        except OSError as error:
            raise EnvironmentUnusable(
                f"the build cache '{self.directory}' cannot be written: {error.strerror}.",
                "Free some space, or set FOUNDRY_CACHE_DIR to another folder.",
            ) from error

    def sweep(self) -> None:
        """Remove the files used longest ago until the cache is within its limit again."""
        with suppress(OSError):  # a full disk is what a sweep is for
            (self.directory / _SWEPT).touch()
        self._remove_abandoned()
        files = []
        for path in self.directory.glob("[!t]*/*"):
            try:
                stat = path.stat()
            except OSError:
                continue
            if path.is_dir():  # of the compiler's own cache
                continue
            files.append((stat.st_mtime, stat.st_size, path))
        excess = sum(size for _, size, _ in files) - self.limit_bytes
        for _, size, path in sorted(files):
            if excess <= 0:
                break
            with suppress(OSError):  # gone since, or another user's
                path.unlink()
            excess -= size

    def _remove_abandoned(self) -> None:
        """Remove what killed builds left behind; a build in progress holds its folder."""
        for scratch in self.directory.glob("tmp-*"):
            try:
                is_old = time.time() - scratch.stat().st_mtime > _ABANDONED_AFTER_S
            except FileNotFoundError:
                continue
            if is_old and not _is_held(scratch):
                shutil.rmtree(scratch, ignore_errors=True)

    def path(self, name: str) -> Path:
        """Where the file of this name is, or will be."""
        return self.directory / name[:2] / name

    @staticmethod
    def _touch(path: Path) -> None:
        with suppress(OSError):  # gone since, or another user's: it counts as old then
            os.utime(path)


def _is_held(scratch: Path) -> bool:
    """Whether whoever made a folder is at work in it; a killed process holds nothing."""
    try:
        with (scratch / _HELD).open("r+") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
