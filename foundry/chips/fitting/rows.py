"""Published times as rows: which kernel, on which chip, over which sizes, how long.

A data set is a CSV file. Its kernels lie beside it as `<op>/<kernel>.metal`, and what they do as
`profiles.json`, which is made when it is missing or a row is new.
"""

from __future__ import annotations

import csv
import functools
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from foundry.chips import registry
from foundry.chips.chip import Figure
from foundry.chips.model import Speeds, speeds
from foundry.errors import UsageError
from foundry.judge.oracle.inputs import make_inputs
from foundry.kernel import bind, parse
from foundry.msl.gpu.profile import GpuProfile, profile_from
from foundry.msl.gpu.run import profile
from foundry.program import Program
from ops import registry as ops
from ops.families.gemm import matmul
from ops.spec import Op, Tensor, Workload

PUBLISHED = Path(__file__).parents[1] / "published" / "timings.csv"
_COLUMNS = ("op", "chip", "cores", "kernel", "constants", "axes", "dtype", "us", "source", "label")
_SEED = 0
_DIGITS = 6
_NOT_TRANSPOSED = replace(
    matmul, name="matmul_nn", inputs=(Tensor("a", ("m", "k")), Tensor("b", ("k", "n")))
)
"""Most published kernels take b as it stands in `a b`; the op of this package takes weights."""


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
        chip = registry.get(self.chip)
        if self.cores is not None and chip.cores is not None:
            chip = replace(chip, cores=Figure(self.cores, self.source))
        found = speeds(chip)
        if found is None:
            raise UsageError(f"cores, clock or bandwidth of '{self.chip}' are unknown")
        return found


def read_rows(path: Path) -> list[Row]:
    """The rows of a data set.

    Raises:
        UsageError: A column is missing, or a time is no number above 0.
    """
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        if missing := set(_COLUMNS) - set(reader.fieldnames or ()):
            raise UsageError(f"{path} has no column '{min(missing)}'")
        return [_row(path, number, row) for number, row in enumerate(reader, 2)]


def _row(path: Path, line: int, row: Mapping[str, str]) -> Row:
    try:
        us, cores = float(row["us"]), int(row["cores"]) if row["cores"] else None
    except ValueError as error:
        raise UsageError(f"{path}:{line}: {error}") from None
    if not us > 0:
        raise UsageError(f"{path}:{line}: a time is above 0, not {us:g}")
    named = {name: row[name] for name in _COLUMNS if name not in {"us", "cores"}}
    return Row(us=us, cores=cores, **named)


def program_of(row: Row, folder: Path) -> Program:
    """What a row ran.

    Raises:
        UsageError: There is no such kernel or op, or its text has no such constant.
        InvalidKernel: The kernel does not fit its op.
    """
    path = folder / row.op / f"{row.kernel}.metal"
    if not path.exists():
        raise UsageError(f"there is no kernel {path}")
    kernel = parse(path.read_text())
    values = {n: int(v) for n, v in (word.split("=") for word in row.constants.split())}
    launches = tuple(
        replace(launch, constants=tuple((n, values.get(n, v)) for n, v in launch.constants))
        for launch in kernel.launches
    )
    op = _op(row.op)
    return bind(replace(kernel, launches=launches), op, _workload(row))


def _workload(row: Row) -> Workload:
    axes = {name: int(size) for name, size in (word.split("=") for word in row.axes.split())}
    return Workload(row.op, axes, row.dtype)


def _op(name: str) -> Op:
    return _NOT_TRANSPOSED if name == _NOT_TRANSPOSED.name else ops.get(name)


def profiles(rows: Iterable[Row], path: Path) -> dict[str, GpuProfile]:
    """What the kernels of a data set do, by key of a row; the file beside it is brought up to date.

    Raises:
        LaunchFailed: A kernel does not build, or does too much to be counted.
        UsageError, InvalidKernel: As `program_of`.
    """
    kept = path.with_name("profiles.json")
    found = json.loads(kept.read_text()) if kept.exists() else {}
    new = False
    for row in rows:
        if row.key not in found:
            found[row.key] = _rounded(_profile(row, path.parent).document())
            new = True
    if new:
        _write(
            kept, json.dumps(found, separators=(",", ":"), sort_keys=True).replace('},"', '},\n"')
        )
    return {key: profile_from(document) for key, document in found.items()}


def _profile(row: Row, folder: Path) -> GpuProfile:
    inputs = make_inputs(_op(row.op), _workload(row), "normal", _SEED)
    return profile(program_of(row, folder), inputs)


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}")
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    return value


def _write(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text + "\n")
    os.replace(new, path)
