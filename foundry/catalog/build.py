"""Winners -> an installable wheel.

1. `entry.winners` picks the best proven kernel per op, dtype and device.
2. `reverified` judges each again with fresh seeds; what no longer passes is left out and named.
3. `package.package_files` renders the package, `rehearsal.rehearse` lets it verify itself.
4. `wheel.wheel_bytes` packs it, `write_wheel` puts it in place in one step.
"""

from __future__ import annotations

import contextlib
import importlib.util
import keyword
import os
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from foundry.catalog.entry import CatalogEntry
from foundry.catalog.kept import Judging
from foundry.catalog.package import package_files
from foundry.catalog.rehearsal import rehearse
from foundry.catalog.wheel import WheelMetadata, wheel_bytes, wheel_name
from foundry.errors import EnvironmentUnusable, UsageError
from foundry.judge.verdict import Evaluation

_REQUIRES = "mlx>=0.32.4"
_NAME = re.compile(r"[a-z]([a-z0-9_]*[a-z0-9])?")
"""Names of modules that pip takes as names of packages."""
_TAKEN = ("mlx", "mlx_lm", "numpy", "foundry", "discover", "ops", "templates")
_LICENCE = re.compile(r"\(*[A-Za-z0-9.+-]+(?: [A-Za-z0-9.+-]+|[ ()])*")
_VERSION = re.compile(r"\d+(\.\d+)*((a|b|rc)\d+)?(\.post\d+)?(\.dev\d+)?")


@dataclass(frozen=True)
class Reverified:
    """An entry and what the judge says of it today."""

    entry: CatalogEntry
    evaluation: Evaluation

    @property
    def passed(self) -> bool:
        """Whether it may be shipped."""
        return self.evaluation.status.passed


def reverified(entries: Iterable[CatalogEntry], judge: Judging) -> Iterator[Reverified]:
    """Judge every entry again, untimed, one at a time."""
    for entry in entries:
        yield Reverified(entry, judge(entry))


def check_name(name: str) -> str:
    """The import name of a catalog.

    Raises:
        UsageError: Not a Python name, or one that would hide or replace another package: of
            Python, of MLX, of this project, or one that is installed and is no catalog.
    """
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise UsageError(
            f"'{name}' is no package name; use letters from a to z, digits and, inside of it, _"
        )
    if name in _TAKEN or name in sys.stdlib_module_names or _is_another_package(name):
        raise UsageError(f"a catalog named '{name}' would hide the package of that name")
    return name


def _is_another_package(name: str) -> bool:
    """Whether a package that is no catalog is installed under a name; a folder alone is none."""
    with contextlib.suppress(ImportError, ValueError):
        found = importlib.util.find_spec(name)
        if found is not None and found.origin is not None:
            return not Path(found.origin).with_name("catalog.json").is_file()
    return False


def check_licence(licence: str) -> str:
    """An SPDX expression, by its letters: `MIT`, `Apache-2.0 OR MIT`.

    Raises:
        UsageError: It is none; an index would refuse the wheel.
    """
    if not _LICENCE.fullmatch(licence):
        raise UsageError(f"'{licence}' is no licence; write it as SPDX does: MIT, Apache-2.0")
    return licence


def check_version(version: str) -> str:
    """A plain PEP 440 version.

    Raises:
        UsageError: Anything else.
    """
    if not _VERSION.fullmatch(version):
        raise UsageError(f"'{version}' is no version; write it like 0.1.0")
    return version


def write_wheel(
    folder: Path, name: str, version: str, entries: Iterable[CatalogEntry], licence: str = "MIT"
) -> Path:
    """Write the wheel into a folder and return its path; an older one of that name is replaced.

    Args:
        folder: Where it goes.
        name: Import name.
        version: Its version.
        entries: What it holds.
        licence: SPDX expression of the kernels' licence.

    Raises:
        UsageError: No entries, a bad name, version or licence.
        FoundryError: The package does not pass its own checks.
        EnvironmentUnusable: The folder cannot be written.
    """
    chosen = tuple(entries)
    if not chosen:
        raise UsageError("no proven kernel to ship; search first: discover search softmax")
    files = package_files(check_name(name), check_version(version), chosen)
    rehearse(name, files)
    about = WheelMetadata(
        name,
        version,
        "Proven Metal kernels for MLX",
        _REQUIRES,
        check_licence(licence),
        _description(name, chosen),
    )
    data = wheel_bytes(about, files)
    path = folder / wheel_name(name, version)
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise EnvironmentUnusable(
            f"{path}: cannot be written ({(error.strerror or str(error)).lower()}).",
            "Choose another -o, or free some space.",
        ) from error
    return path


def _description(name: str, entries: Iterable[CatalogEntry]) -> str:
    """The page that an index shows, in Markdown."""
    kernels: dict[str, list[str]] = {}
    for entry in entries:
        kernels.setdefault(entry.op.name, []).append(entry.evaluation.dtype)
    rows = [f"| `{op}` | {', '.join(dict.fromkeys(kernels[op]))} |" for op in sorted(kernels)]
    return "\n".join(
        [
            f"# {name}",
            "",
            "Metal kernels for MLX, proven and behind plain functions. Each call runs the kernel",
            "where it is known to win on this machine, and plain MLX everywhere else.",
            "",
            "| function | kernels in |",
            "|---|---|",
            *rows,
            "",
            f"`python -m {name} verify` checks them here, `tune` learns where they win, `info`",
            f"says which path a call takes. `{name}.patch(model)` puts them into a model.",
        ]
    )
