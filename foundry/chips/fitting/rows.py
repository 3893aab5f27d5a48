"""Published times as rows: which kernel, on which chip, over which sizes, how long.

A data set is a CSV file. Its kernels lie beside it as `<op>/<kernel>.metal`, and what they do as
`profiles.json`, which is made when it is missing and renewed where a row or a kernel's text is.
"""

from __future__ import annotations

import csv
import functools
import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from foundry.chips import registry
from foundry.chips.chip import Figure
from foundry.chips.fitting.published_ops import published_op
from foundry.chips.speeds import Speeds, speeds
from foundry.errors import UsageError, unknown
from foundry.judge.oracle.inputs import make_inputs
from foundry.kernel import bind, parse, text_hash
from foundry.msl.gpu.profile import GpuProfile, profile_from
from foundry.msl.gpu.run import profile
from foundry.program import Program
from ops.spec import Op
from ops.workload import Case, Workload

PUBLISHED = Path(__file__).parents[1] / "published" / "timings.csv"
_COLUMNS = ("op", "chip", "cores", "kernel", "constants", "axes", "dtype", "us", "source", "label")
_MORE = "fields beyond the columns"
_SEED = 0
_DIGITS = 6
_HASH_DIGITS = 12


@dataclass(frozen=True)
class Row:
    """One published time."""

    op: str
    chip: str
    cores: int | None
    """Of the chip that was measured, where its file has another number."""
    kernel: str
    constants: str
    axes: str
    dtype: str
    us: float
    source: str
    label: str
    """What the source calls the kernel."""
    place: str = field(default="", compare=False)
    """File and line, for messages."""

    @property
    def key(self) -> str:
        """Of what it does, whichever chip it ran on."""
        return "|".join((self.op, self.kernel, self.constants, self.axes, self.dtype))

    @property
    def group(self) -> tuple[str, ...]:
        """Rows that may be compared: same op, sizes, chip and source."""
        return (self.op, self.chip, str(self.cores), self.source, self.axes, self.dtype)

    @functools.cached_property
    def speeds(self) -> Speeds:
        """Of the chip.

        Raises:
            UsageError: The chip is not known, or too little of it.
        """
        try:
            chip = registry.get(self.chip)
        except UsageError as error:
            raise UsageError(f"{self.place}: {error}") from None
        if self.cores is not None and chip.cores is not None:
            chip = replace(chip, cores=Figure(self.cores, self.source))
        found = speeds(chip)
        if found is None or found.left_out:
            raise UsageError(
                f"{self.place}: cores, clock or bandwidth of '{self.chip}' are unknown"
            )
        return found


def read_rows(path: Path) -> list[Row]:
    """The rows of a data set.

    Raises:
        UsageError: A column or field is missing, a time is no number above 0, or axes or constants
            are not like `m=64 n=64`.
    """
    with path.open(newline="", encoding="utf-8") as file:
        try:
            reader = csv.DictReader(file, restkey=_MORE)
            if missing := set(_COLUMNS) - set(reader.fieldnames or ()):
                raise UsageError(f"{path} has no column '{min(missing)}'")
            return [_row(path, reader.line_num, row) for row in reader]
        except (UnicodeDecodeError, csv.Error) as error:
            raise UsageError(f"{path} is no table of text: {error}") from None


def _row(path: Path, line: int, row: Mapping[str, str]) -> Row:
    place = f"{path}:{line}"
    if short := [name for name in _COLUMNS if row[name] is None]:
        raise UsageError(f"{place}: there is no field for '{short[0]}'")
    if _MORE in row:
        raise UsageError(f"{place}: there are more fields than columns")
    try:
        us, cores = float(row["us"]), int(row["cores"]) if row["cores"] else None
    except ValueError as error:
        raise UsageError(f"{place}: {error}") from None
    if not 0 < us < math.inf:
        raise UsageError(f"{place}: a time is a number above 0, not {us:g}")
    for name in ("axes", "constants"):
        _integers(row[name], f"{place}: {name}")
    named = {name: row[name] for name in _COLUMNS if name not in {"us", "cores"}}
    return Row(us=us, cores=cores, place=place, **named)


def _integers(text: str, what: str) -> dict[str, int]:
    try:
        return {name: int(value) for name, value in (word.split("=") for word in text.split())}
    except ValueError:
        raise UsageError(f"{what} are like m=64 n=64, not '{text}'") from None


def program_of(row: Row, folder: Path) -> Program:
    """What a row ran.

    Raises:
        UsageError: There is no such kernel or op, its text has no such constant, or the op no such
            axes or dtype.
        InvalidKernel: The kernel does not fit its op.
    """
    kernel = parse(_text(row, folder))
    values = _integers(row.constants, f"{row.place}: constants")
    known = sorted({name for launch in kernel.launches for name, _ in launch.constants})
    for name in values:
        if name not in known:
            raise UsageError(f"{row.place}: {unknown(f'constant of {row.kernel}', name, known)}")
    launches = tuple(
        replace(launch, constants=tuple((n, values.get(n, v)) for n, v in launch.constants))
        for launch in kernel.launches
    )
    op, workload = _asked(row)
    return bind(replace(kernel, launches=launches), op, workload)


def _text(row: Row, folder: Path) -> str:
    path = folder / row.op / f"{row.kernel}.metal"
    if not path.exists():
        raise UsageError(f"{row.place}: there is no kernel {path}")
    return path.read_text()


def _asked(row: Row) -> tuple[Op, Workload]:
    axes = _integers(row.axes, f"{row.place}: axes")
    try:
        op = published_op(row.op)
        return op, op.workload(Case(axes), row.dtype)
    except UsageError as error:
        raise UsageError(f"{row.place}: {error}") from None


def profiles(rows: Iterable[Row], path: Path) -> dict[str, GpuProfile]:
    """What the kernels of a data set do, by key of a row; the file beside it is brought up to date.

    Raises:
        LaunchFailed: A kernel does not build, or does too much to be counted.
        UsageError, InvalidKernel: As `program_of`.
    """
    kept = path.with_name("profiles.json")
    before = json.loads(kept.read_text()) if kept.exists() else {}
    found: dict[str, Any] = {}
    names: dict[str, str] = {}
    for row in rows:
        if row.key not in names:
            text = text_hash(_text(row, path.parent))
            name = names[row.key] = f"{row.key}|{text[:_HASH_DIGITS]}"
            found[name] = before.get(name) or _rounded(_profile(row, path.parent).document())
    if found != before:
        _write(kept, found)
    return {key: profile_from(found[name]) for key, name in names.items()}


def _profile(row: Row, folder: Path) -> GpuProfile:
    return profile(program_of(row, folder), make_inputs(*_asked(row), "normal", _SEED))


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}")
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    return value


def _write(path: Path, found: Mapping[str, object]) -> None:
    lines = [
        f"{json.dumps(key)}:{json.dumps(value, separators=(',', ':'), sort_keys=True)}"
        for key, value in sorted(found.items())
    ]
    new = path.with_suffix(".new")
    new.write_text("{" + ",\n".join(lines) + "}\n")
    os.replace(new, path)
