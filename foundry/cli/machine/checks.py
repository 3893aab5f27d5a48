"""What `foundry doctor` looks at: one function a subject, each with what was found and the fix."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from foundry.errors import EnvironmentUnusable, FoundryError

State = Literal["ok", "absent", "warning", "broken"]

_LEAST_PYTHON = (3, 11)
_LITTLE_SPACE = 1 << 30
_NO_SPACE = 64 << 20
_KEYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "OPENAI_API_KEY")


@dataclass(frozen=True)
class DoctorCheck:
    """One subject: `absent` is no fault, `broken` makes this machine unusable."""

    name: str
    state: State
    found: str
    fix: str = ""


def examine(db: str | None) -> Iterator[DoctorCheck]:
    """Every check, one after another, as each is done."""
    yield check_python()
    yield check_settings()
    yield check_mlx()
    yield from check_engines()
    yield check_cache()
    yield check_sandbox()
    yield check_database(db)
    yield from check_keys()


def check_python() -> DoctorCheck:
    """The interpreter."""
    found = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info[:2] < _LEAST_PYTHON:
        return DoctorCheck("python", "broken", found, "Install Python 3.11 or newer.")
    return DoctorCheck("python", "ok", found)


def check_settings() -> DoctorCheck:
    """`foundry.toml`."""
    from foundry import config

    try:
        settings = config.read()
    except FoundryError as error:
        return DoctorCheck("settings", "broken", str(error), "Mend the file.")
    if settings.path is None:
        return DoctorCheck("settings", "absent", f"no {config.FILE_NAME}; every default holds")
    return DoctorCheck("settings", "ok", str(settings.path))


def check_mlx() -> DoctorCheck:
    """MLX with a back end that computes, asked in a process of its own, for it may hang."""
    import subprocess

    extra = "cpu" if sys.platform != "darwin" else ""
    package = f"metal-foundry[{extra}]" if extra else "metal-foundry"
    fix = f"Install it: pip install '{package}'."
    try:
        installed = version("mlx")
    except PackageNotFoundError:
        return DoctorCheck("mlx", "broken", "not installed", fix)
    probe = "import mlx.core as mx; mx.eval(mx.ones(3).sum()); print(mx.default_device())"
    try:
        done = subprocess.run(
            [sys.executable, "-c", probe], capture_output=True, text=True, timeout=60, check=False
        )
    except subprocess.TimeoutExpired:
        return DoctorCheck("mlx", "broken", f"{installed} does not answer within 60 s", fix)
    if done.returncode:
        words = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return DoctorCheck("mlx", "broken", f"{installed} does not work: {words[-1]}", fix)
    return DoctorCheck("mlx", "ok", f"{installed}, {done.stdout.strip()}")


def check_engines() -> Iterator[DoctorCheck]:
    """Each engine: usable, or what is missing."""
    from foundry import engines

    for name in engines.names():
        if name == "auto":
            continue
        try:
            device = engines.get(name).device()
        except EnvironmentUnusable as error:
            yield DoctorCheck(
                f"engine {name}", "absent", error.fix if name in error.what else str(error)
            )
        except ImportError as error:
            yield DoctorCheck(f"engine {name}", "absent", f"cannot be loaded: {error}")
        else:
            yield DoctorCheck(f"engine {name}", "ok", device.name)


def check_cache() -> DoctorCheck:
    """The folder of built kernels."""
    from foundry.msl.build.cache import default_directory

    return _folder("build cache", default_directory(), "Set FOUNDRY_CACHE_DIR to another folder.")


def check_sandbox() -> DoctorCheck:
    """How well kernels are confined here."""
    from foundry.harness.sandbox import Level, in_force, missing

    level = in_force()
    if level >= Level.FILTERED:
        return DoctorCheck("sandbox", "ok", f"level '{level}'")
    fix = "Run kernels that others wrote on Linux with Landlock and seccomp."
    return DoctorCheck("sandbox", "absent", f"level '{level}': {missing()}", fix)


def check_database(db: str | None) -> DoctorCheck:
    """The database: its schema, and the folder it lies in."""
    from foundry.store import Store
    from foundry.store.location import locate

    fix = "Choose another --db."
    try:
        location = locate(db)
        if location.path is not None and not location.exists:
            where = _folder("database", location.path.absolute().parent, fix)
            found = f"{location} is made by the first run; {where.found}"
            return DoctorCheck("database", where.state, found, where.fix)
        with Store.open(db, read_only=True) as store:
            runs = len(store.runs())
    except EnvironmentUnusable as error:
        return DoctorCheck("database", "broken", error.what, error.fix)
    except FoundryError as error:
        return DoctorCheck("database", "broken", str(error), fix)
    if location.path is None:
        return DoctorCheck("database", "ok", f"{location}, runs: {runs}")
    where = _folder("database", location.path.absolute().parent, fix)
    return DoctorCheck(
        "database", where.state, f"{location}, runs: {runs}; {where.found}", where.fix
    )


def check_keys() -> Iterator[DoctorCheck]:
    """Which keys are set; never what they are."""
    present = [name for name in _KEYS if os.environ.get(name)]
    if present:
        yield DoctorCheck("keys", "ok", ", ".join(present))
    else:
        yield DoctorCheck(
            "keys", "absent", "none set; only LLM proposers need one, `mutate` works without"
        )


def worst(checks: list[DoctorCheck]) -> State:
    """The state of the machine."""
    order: tuple[State, ...] = ("broken", "warning", "absent", "ok")
    return next(state for state in order if any(check.state == state for check in checks))


def _folder(name: str, folder: Path, fix: str) -> DoctorCheck:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return DoctorCheck(name, "broken", f"{existing} cannot be written", fix)
    try:
        free = shutil.disk_usage(existing).free
    except OSError as error:
        return DoctorCheck(name, "broken", f"{existing}: {error.strerror}", fix)
    found = f"{folder}, {free / (1 << 30):.1f} GiB free"
    if free < _NO_SPACE:
        return DoctorCheck(name, "broken", found, f"Free some space. {fix}")
    if free < _LITTLE_SPACE:
        return DoctorCheck(name, "warning", found, f"Free some space. {fix}")
    return DoctorCheck(name, "ok", found)
