"""Files that are there whole or not at all: JSON Lines, Parquet, text."""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import IO, Any

from foundry.datasets.attempts import FLAG, INTEGER, NUMBER, TEXT
from foundry.datasets.labels import CANARY
from foundry.errors import EnvironmentUnusable

_BATCH = 500
_DRAFT = ".draft"
"""Ends the name of a file that is being written."""


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write; it takes the place of `path` when the block ends, and not before.

    Raises:
        EnvironmentUnusable: The folder cannot be written, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft, file = _draft(path)
        try:
            with file:
                yield file
                file.flush()
                os.fsync(file.fileno())
                # Still locked: another writer would take a draft without a lock for abandoned.
                draft.chmod(0o666 & ~_umask())
                os.replace(draft, path)
            _sync_folder(path.parent)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise EnvironmentUnusable(
            f"{path}: cannot be written ({reason}).",
            "Choose another folder, or free some space; what was there before is unchanged.",
        ) from error


def _draft(path: Path) -> tuple[Path, IO[bytes]]:
    """A draft beside a file, open and locked."""
    while True:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=_DRAFT, dir=path.parent)
        file = os.fdopen(descriptor, "wb")
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return Path(name), file
        file.close()  # taken for abandoned before it was locked


def remove_abandoned(folder: Path) -> None:
    """Remove what writers that were killed left in a folder; a writer at work holds its draft."""
    for draft in folder.glob(f".*{_DRAFT}"):
        with suppress(OSError), draft.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.unlink()


_FOOTER_END = 8
"""Bytes at the end of a Parquet file: the length of its footer, and `PAR1`."""


def is_of_an_export(path: Path) -> bool:
    """Whether a file has a canary, as all that are written here: its rows, or what describes them.

    So has one that is empty: nothing of anybody's is in it.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if path.suffix == ".jsonl":
            line = file.readline()
            return not line or CANARY.encode() in line
        if path.suffix != ".parquet":
            return not size or CANARY.encode() in file.read()
        file.seek(max(0, size - _FOOTER_END))
        length = int.from_bytes(file.read(4), "little")
        file.seek(max(0, size - _FOOTER_END - length))
        return not size or b"canary" in file.read()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    """Digest of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write a text file."""
    with replacing(path) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """One JSON object a line; values that JSON does not have (NaN, infinity) become null.

    Returns:
        The number of rows.
    """
    count = 0
    with replacing(path) as file:
        for row in rows:
            line = json.dumps(_finite(row), ensure_ascii=True, allow_nan=False)
            file.write(line.encode() + b"\n")
            count += 1
    return count


def _finite(value: Any) -> Any:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case list() | tuple():
            return [_finite(item) for item in value]
        case Mapping():
            return {key: _finite(item) for key, item in value.items()}
    return value


def write_parquet(path: Path, rows: Iterable[Mapping[str, Any]], schema: Mapping[str, Any]) -> int:
    """A Parquet file with the columns of a schema as in `attempts.SCHEMA`.

    Returns:
        The number of rows.

    Raises:
        EnvironmentUnusable: pyarrow is not installed.
    """
    pyarrow, parquet = _pyarrow()
    table = pyarrow.schema([(name, _arrow(kind)) for name, kind in schema.items()])
    count, remaining = 0, iter(rows)
    with replacing(path) as file, parquet.ParquetWriter(file, table, compression="zstd") as writer:
        while batch := list(islice(remaining, _BATCH)):
            writer.write_table(pyarrow.Table.from_pylist(batch, table))
            count += len(batch)
    return count


def read_parquet(path: Path) -> list[dict[str, Any]]:
    """The rows of a Parquet file.

    Raises:
        EnvironmentUnusable: pyarrow is not installed.
        ValueError: It is no Parquet file.
    """
    _, parquet = _pyarrow()
    rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return rows


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise EnvironmentUnusable(
            "Parquet needs pyarrow, which is not installed.",
            "Install it: pip install 'metal-foundry[datasets]', or export JSON Lines.",
        ) from error
    return pyarrow, pyarrow.parquet


def _arrow(kind: Any) -> Any:
    import pyarrow

    if isinstance(kind, list):
        return pyarrow.list_(_arrow(kind[0]))
    if isinstance(kind, Mapping):
        return pyarrow.struct([(name, _arrow(part)) for name, part in kind.items()])
    return {
        TEXT: pyarrow.string(),
        NUMBER: pyarrow.float64(),
        INTEGER: pyarrow.int64(),
        FLAG: pyarrow.bool_(),
    }[kind]
