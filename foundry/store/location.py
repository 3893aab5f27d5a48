"""Where the database is: from an option, the environment or the default, to a checked URL."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from foundry.errors import EnvironmentUnusable, UsageError
from foundry.store.database_errors import unwritable

DEFAULT_URL = "sqlite:///runs/foundry.db"
VARIABLE = "FOUNDRY_DB"
_PACKAGES = {"psycopg": "'psycopg[binary]'", "psycopg2": "psycopg2-binary"}
_EXAMPLE = "give a file or a URL such as sqlite:///runs/foundry.db or postgresql://host/name"


@dataclass(frozen=True)
class Location:
    """A database: its URL, and its file where it is one."""

    url: URL
    path: Path | None
    """None for a database server, and for SQLite in memory."""

    def __str__(self) -> str:
        return str(self.path) if self.path else self.url.render_as_string(hide_password=True)

    @property
    def exists(self) -> bool:
        """False when it is a file that is not there; a server answers for itself."""
        return self.path is None or os.path.exists(self.path)

    def make_folder(self) -> None:
        """Make the folder of the file.

        Raises:
            EnvironmentUnusable: It cannot be made.
        """
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(self.path.parent, error) from error


def locate(url: str | None = None) -> Location:
    """The database that is meant: the argument, else FOUNDRY_DB, else `runs/foundry.db`.

    Args:
        url: Any SQLAlchemy URL, or the path of an SQLite file.

    Raises:
        UsageError: Not a URL, a folder, or a kind of database nobody knows.
        EnvironmentUnusable: The driver of that kind of database is not installed.
    """
    if url is not None and not url.strip():
        raise UsageError(f"the database has no name: {_EXAMPLE}")
    text = url or os.environ.get(VARIABLE) or DEFAULT_URL
    try:
        # The name of a file may hold what means something in a URL, such as a question mark.
        is_file = "://" not in text
        parsed = URL.create("sqlite", database=text) if is_file else make_url(text)
        backend, driver = parsed.get_backend_name(), parsed.get_driver_name()
        parsed.get_dialect().import_dbapi()
    except (ArgumentError, ValueError):
        raise UsageError(f"database '{_hidden(text)}' is not a URL: {_EXAMPLE}") from None
    except NoSuchModuleError:
        kind = text.partition("://")[0]
        raise UsageError(f"unknown kind of database '{kind}': {_EXAMPLE}") from None
    except ImportError as error:
        raise EnvironmentUnusable(
            f"databases of the kind '{backend}' need the driver {driver} ({error}).",
            f"Install it: pip install {_PACKAGES.get(driver, driver)}.",
        ) from error
    return Location(parsed, _file(parsed))


def _file(url: URL) -> Path | None:
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    if str(url.database).startswith("file:"):
        raise UsageError(f"database '{url.database}': give the plain path of the SQLite file")
    path = Path(str(url.database)).expanduser()
    if os.path.isdir(path):  # unlike Path.is_dir, False where we may not look
        raise UsageError(f"database '{path}' is a folder: {_EXAMPLE}")
    return path


def _hidden(text: str) -> str:
    """The text without what may be a password."""
    head, at, tail = text.rpartition("@")
    return f"{head.partition('://')[0]}://***@{tail}" if at else text
