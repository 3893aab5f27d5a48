"""Renders the files of a catalog package: pure, entries in, paths and text out.

NAME/__init__.py     one plain function per op, `info`, `patch`, `unpatch`
NAME/__main__.py     `python -m NAME info|verify|tune`
NAME/fallbacks.py    the first baseline of each op, as its text stands
NAME/others.py       all other baselines, which kernels are timed against too
NAME/catalog.json    ops, kernels, records
NAME/checks.safetensors  what `verify` holds results to
NAME/kernels/*.metal the kernel files, for people and for `foundry catalog verify`
NAME/...             everything in `runtime/`, as it stands there
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import groupby
from typing import Any

from foundry.catalog import fallbacks
from foundry.catalog.checks import Checks, checks_of
from foundry.catalog.entry import CatalogEntry
from foundry.catalog.safetensors import safetensors
from foundry.catalog.signatures import init
from foundry.errors import UsageError
from foundry.judge.verdict import Timing
from foundry.kernel import KernelLaunch, render
from ops.empty import over_nothing
from ops.fills import Distinct, Fill, Index, Sorted
from ops.spec import Op
from ops.workload import Case, Tensor
from ops.workload_names import workload_of

_MAIN = """import sys

from . import FUNCTIONS, info
from .main import main

sys.exit(main(FUNCTIONS, info))
"""


def package_files(
    name: str, version: str, entries: Iterable[CatalogEntry]
) -> dict[str, str | bytes]:
    """Every file of the package, by path inside the wheel.

    Args:
        name: Import name.
        version: Version of the package.
        entries: Winners, at least one; several per op.

    """
    ordered = sorted(entries, key=lambda e: e.op.name)
    by_op = [(list(group)) for _, group in groupby(ordered, key=lambda e: e.op.name)]
    ops = [group[0].op for group in by_op]
    checks = [checks_of(op) for op in ops]
    records = map(op_record, ops, by_op, checks)
    arrays = {name: array for found in checks for name, array in found.arrays.items()}
    return {
        **{f"{name}/{path}": text for path, text in _runtime(files("foundry.catalog.runtime"))},
        f"{name}/__init__.py": init(name, version, ops),
        f"{name}/__main__.py": _MAIN,
        f"{name}/fallbacks.py": fallbacks.module(ops),
        f"{name}/others.py": fallbacks.others_module(ops),
        f"{name}/catalog.json": json.dumps({"ops": list(records)}, indent=1) + "\n",
        f"{name}/checks.safetensors": safetensors(arrays),
        **{f"{name}/kernels/{_kernel_file(e)}": render(e.kernel) for e in ordered},
        f"{name}/py.typed": "",
    }


def _runtime(folder: Traversable, inside: str = "") -> Iterator[tuple[str, str]]:
    """Path and text of every file of the run-time."""
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        if entry.is_dir() and entry.name != "__pycache__":
            yield from _runtime(entry, f"{inside}{entry.name}/")
        elif entry.name.endswith((".py", ".toml")):
            yield f"{inside}{entry.name}", entry.read_text()


def op_record(op: Op, entries: list[CatalogEntry], checks: Checks) -> dict[str, Any]:
    """What the run-time must know of an op and its kernels."""
    return {
        "name": op.name,
        "axes": list(op.axis_names),
        "batch_axis": fallbacks.batch_axis(op),
        "inputs": [_tensor(t) for t in op.inputs],
        "outputs": [_tensor(t) for t in op.outputs],
        "params": dict(op.params),
        "dtypes": list(op.dtypes),
        "types": {"T": list(op.dtypes), **{k: list(v) for k, v in op.types.items()}},
        "rules": list(op.conditions),
        "flops": op.plain_flops or op.flops,
        "gradient_of": op.gradient_of,
        "fallback": fallbacks.record(op),
        "others": fallbacks.other_records(op),
        "over_nothing": over_nothing(op),
        "bench": [_bench(case) for case in op.bench],
        "checks": checks.records,
        "kernels": [_kernel(entry) for entry in entries],
    }


def _tensor(tensor: Tensor) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "shape": list(tensor.shape),
        "dtype": tensor.dtype,
        "flag": tensor.flag if tensor.optional else "",
        "match": type(tensor.compared).__name__.lower(),
        **_held(tensor.fill),
    }


def _held(fill: Fill | None) -> dict[str, Any]:
    """What indices an input holds, for inputs of any size to be made where it is timed."""
    of = fill.inner if isinstance(fill, Sorted) else fill
    below = of.below if isinstance(of, Index | Distinct) else None
    return {"below": below, "sorted": isinstance(fill, Sorted)}


def _bench(case: Case) -> dict[str, Any]:
    return {"axes": dict(case.axes), "params": dict(case.params), "label": case.label}


def _kernel(entry: CatalogEntry) -> dict[str, Any]:
    kernel, evaluation = entry.kernel, entry.evaluation
    proven = evaluation.proven
    return {
        "hash": kernel.hash,
        "file": _kernel_file(entry),
        "dtype": evaluation.dtype,
        "header": kernel.header,
        "temporaries": [
            {"name": t.name, "shape": list(t.shape), "dtype": t.dtype} for t in kernel.temporaries
        ],
        "launches": [_launch(entry.op, launch) for launch in kernel.launches],
        "record": {
            "status": evaluation.status.value,
            "device_kind": entry.device.kind,
            "device_name": entry.device.name,
            "device_id": evaluation.device_id,
            "judge_version": evaluation.judge_version,
            "proven": proven.model_dump(mode="json", exclude={"dtypes"}) if proven else None,
            "timings": [_timing(t) for t in evaluation.timings],
            "regions": list(_regions(entry.op, evaluation.timings)),
        },
    }


def _launch(op: Op, launch: KernelLaunch) -> dict[str, Any]:
    everything = [t.name for t in op.inputs] + list(op.params)
    return {
        "inputs": everything if launch.inputs is None else list(launch.inputs),
        "outputs": list(launch.outputs or [t.name for t in op.outputs]),
        "grid": list(launch.grid),
        "threadgroup": list(launch.threadgroup),
        "constants": [list(pair) for pair in launch.constants],
        "math_mode": launch.math_mode,
        "init_value": launch.init_value,
        "atomic_outputs": launch.atomic_outputs,
        "body": launch.body,
    }


def _timing(timing: Timing) -> dict[str, Any]:
    return timing.model_dump(exclude={"samples_baseline_us", "samples_kernel_us"})


def _regions(op: Op, timings: Iterable[Timing]) -> Iterator[dict[str, Any]]:
    """The sizes that each win speaks for: its own, and no others."""
    for timing in timings:
        if timing.speedup_low > 1:
            # What was timed before the op changed speaks for no sizes of today.
            with suppress(UsageError):
                workload = workload_of(op, timing.workload)
                yield {"axes": dict(workload.axes), "speedup": timing.speedup}


def _kernel_file(entry: CatalogEntry) -> str:
    return f"{entry.op.name}_{entry.kernel.hash[:12]}.metal"
