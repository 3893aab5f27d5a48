"""The chips by name: those of this folder, and files of one's own.

`FOUNDRY_CHIPS` names further files, or folders of them, separated as in PATH. A file with the name
of a built-in chip takes its place: who has the machine knows best.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from foundry.chips.chip import Chip
from foundry.chips.read import read
from foundry.errors import UsageError, unknown

FILES_VARIABLE = "FOUNDRY_CHIPS"
_BUILT_IN = Path(__file__).parent / "data"


def all_chips(paths: str | None = None) -> Mapping[str, Chip]:
    """Every chip by its key, in the order of the keys.

    Args:
        paths: Files and folders of one's own; None: what `FOUNDRY_CHIPS` names.

    Raises:
        UsageError: A file does not exist or breaks a rule.
    """
    named = os.environ.get(FILES_VARIABLE, "") if paths is None else paths
    files = [
        *_files(_BUILT_IN),
        *(f for p in named.split(os.pathsep) if p for f in _files(Path(p))),
    ]
    found = {file.stem: read(file) for file in files}
    return dict(sorted(found.items()))


def get(name: str) -> Chip:
    """The chip of that key, or of that name: `m1-max`, `Apple M1 Max`.

    Raises:
        UsageError: No such chip; carries the nearest.
    """
    chips = all_chips()
    key = key_of(name)
    if key not in chips:
        raise unknown("chip", name, chips)
    return chips[key]


def key_of(name: str) -> str:
    """The key of a chip with that name, whether it is known or not."""
    return name.strip().lower().removeprefix("apple ").replace(" ", "-")


def _files(path: Path) -> Iterator[Path]:
    if not path.exists():
        raise UsageError(f"no chip file or folder {path}; {FILES_VARIABLE} names some")
    yield from sorted(path.glob("*.toml")) if path.is_dir() else [path]
