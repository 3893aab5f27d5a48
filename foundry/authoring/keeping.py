"""Files of authored functions: written whole, or not at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from foundry.msl.build.cache import root_directory


def kept(text: str, name: str) -> Path:
    """The file of an authored op, written once."""
    file = root_directory() / "authored" / f"{name}.py"
    if not file.is_file() or file.read_text() != text:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, text)
    return file


def write_whole(file: Path, text: str) -> None:
    """Write a file so that no reader, and no other writer, meets half of it."""
    part = file.with_suffix(f".{os.getpid()}-{threading.get_ident()}.part")
    part.write_text(text)
    part.replace(file)
