"""Which sizes are timed: those of real models, swept over what changes from call to call.

The sizes of models come from the package (the shapes that its kernels were judged at), from a
model's `config.json`, or from a file that lists them.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..arguments import Record, keeps_rules

TimedSizes = dict[str, Any]
"""`axes` and `params` of one timing."""
RUN_AXES = ("rows", "m", "seq", "q_len", "kv_len", "count", "batch")
"""Sizes that change from call to call. All others belong to a model and are timed as they are."""
_SWEEP = (1, 2, 4, 8, 32, 128, 512, 2048)
_MOST_AXES = 2


def swept(op: Record, bases: Iterable[TimedSizes]) -> list[TimedSizes]:
    """Every base with every choice of the sizes that change from call to call."""
    names = _run_axes(op)
    found: dict[str, TimedSizes] = {}
    for base in bases:
        for axes in _grid(names, base["axes"]):
            if keeps_rules(op, axes):
                found.setdefault(json.dumps(axes), {"axes": axes, "params": dict(base["params"])})
    return list(found.values())


def of_package(op: Record) -> list[TimedSizes]:
    """The shapes of models that the package carries for an op."""
    return [{"axes": dict(b["axes"]), "params": dict(b["params"])} for b in op["bench"]]


def of_file(path: Path, ops: Mapping[str, Record]) -> dict[str, list[TimedSizes]]:
    """Sizes by op from a file: JSON, a list, or TOML, tables `[[shapes]]`.

    Each names an `op` and all of its axes; parameters may be given beside them.

    Raises:
        ValueError: Not such a file, an op that the package lacks, or an axis without a size from
            1 up.
    """
    found: dict[str, list[TimedSizes]] = {}
    for row in _rows(path):
        if not isinstance(row, dict) or str(row.get("op")) not in ops:
            raise ValueError(f"{path}: {row!r} names no op of this package; name one of "
                             f"{', '.join(ops)}")  # fmt: skip
        op = ops[row["op"]]
        missing = [axis for axis in op["axes"] if not _is_size(row.get(axis))]
        if missing:
            raise ValueError(f"{path}: {row['op']} needs a whole number above 0 for "
                             f"{', '.join(missing)}")  # fmt: skip
        params = {name: row.get(name, default) for name, default in op["params"].items()}
        axes = {axis: row[axis] for axis in op["axes"]}
        found.setdefault(row["op"], []).append({"axes": axes, "params": params})
    return found


def _is_size(given: Any) -> bool:
    return type(given) is int and given > 0  # true is none


def _rows(path: Path) -> list[Any]:
    try:
        text = path.read_text()
        rows = tomllib.loads(text)["shapes"] if path.suffix == ".toml" else json.loads(text)
    except (OSError, ValueError, KeyError, RecursionError) as error:
        raise ValueError(f"{path} is no list of shapes ({error})") from error
    if not isinstance(rows, list):
        raise ValueError(f"{path} is no list of shapes; write [{{'op': ..., 'rows': ...}}]")
    return rows


def _run_axes(op: Record) -> tuple[str, ...]:
    names = [name for name in RUN_AXES if name in op["axes"]]
    if not names and op["batch_axis"] is not None:
        names = [op["batch_axis"]]
    return tuple(names[:_MOST_AXES])


def _grid(names: tuple[str, ...], axes: Mapping[str, int]) -> Iterator[dict[str, int]]:
    if not names:
        yield dict(axes)
        return
    first, *others = names
    for size in sorted({*_SWEEP, axes[first]}):
        yield from _grid(tuple(others), {**axes, first: size})
