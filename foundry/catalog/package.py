"""Renders the files of a catalog package: pure, entries in, paths and text out.

NAME/__init__.py     one plain function per op, `info()`
NAME/__main__.py     `python -m NAME info|verify`
NAME/arguments.py    matches arguments to an op (copied from `runtime/`, as the next are)
NAME/bounds.py       where a kernel was proven
NAME/dispatch.py     picks kernel or fallback
NAME/launching.py    makes a kernel ready for sizes and dtypes
NAME/transforms.py   hears of the transformations that cannot pass through a kernel
NAME/info.py         which path each op takes
NAME/verify.py       checks on the user's machine, against checks.safetensors
NAME/fallbacks.py    the first baseline of each op, as its text stands
NAME/catalog.json    ops, kernels, records
NAME/kernels/*.metal the kernel files, for people and for `foundry catalog verify`
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib.resources import files
from itertools import groupby
from typing import Any

from foundry.catalog import fallbacks
from foundry.catalog.checks import Checks, checks_of
from foundry.catalog.entry import CatalogEntry
from foundry.catalog.safetensors import safetensors
from foundry.judge.verdict import Timing
from foundry.kernel import KernelLaunch, render
from ops.empty import over_nothing
from ops.spec import Op, Tensor

_RUNTIME = (
    "arguments",
    "bounds",
    "dispatch",
    "info",
    "launching",
    "main",
    "transforms",
    "verify",
)
_INFO = (
    "",
    "",
    "def info() -> list[dict[str, Any]]:",
    '    """Which path each op takes in each dtype on this machine, and why."""',
    "    return rows(FUNCTIONS)",
    "",
)
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
    records = map(_op_record, ops, by_op, checks)
    arrays = {name: array for found in checks for name, array in found.arrays.items()}
    shipped = {
        f"{name}/{module}.py": files("foundry.catalog.runtime").joinpath(f"{module}.py").read_text()
        for module in _RUNTIME
    }
    return {
        f"{name}/__init__.py": _init(name, version, ops),
        f"{name}/__main__.py": _MAIN,
        **shipped,
        f"{name}/fallbacks.py": fallbacks.module(ops),
        f"{name}/catalog.json": json.dumps({"ops": list(records)}, indent=1) + "\n",
        f"{name}/checks.safetensors": safetensors(arrays),
        **{f"{name}/kernels/{_kernel_file(e)}": render(e.kernel) for e in ordered},
        f"{name}/py.typed": "",
    }


def free_axes(op: Op) -> tuple[str, ...]:
    """Axes no input shows, such as `k` of topk: the caller names them."""
    shown = {d for t in op.inputs for d in t.shape}
    return tuple(axis for axis in op.axis_names if axis not in shown)


def _op_record(op: Op, entries: list[CatalogEntry], checks: Checks) -> dict[str, Any]:
    return {
        "name": op.name,
        "axes": list(op.axis_names),
        "free_axes": list(free_axes(op)),
        "batch_axis": fallbacks.batch_axis(op),
        "inputs": [_tensor(t) for t in op.inputs],
        "outputs": [_tensor(t) for t in op.outputs],
        "params": dict(op.params),
        "dtypes": list(op.dtypes),
        "types": {"T": list(op.dtypes), **{k: list(v) for k, v in op.types.items()}},
        "rules": list(op.conditions),
        "flops": op.plain_flops or op.flops,
        "fallback": fallbacks.record(op),
        "over_nothing": over_nothing(op),
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
    }


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
            "regions": [_region(entry.op, t) for t in evaluation.timings if t.speedup_low > 1],
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


def _region(op: Op, timing: Timing) -> dict[str, list[int]]:
    """The sizes a timing speaks for: its own, and no others."""
    case = next(w for d in op.dtypes for w in op.workloads("bench", d) if w.id == timing.workload)
    return {axis: [size, size] for axis, size in case.axes.items()}


def _kernel_file(entry: CatalogEntry) -> str:
    return f"{entry.op.name}_{entry.kernel.hash[:12]}.metal"


def _init(name: str, version: str, ops: list[Op]) -> str:
    table = [
        f'    "{op.name}": CatalogFunction(_ops["{op.name}"], fallbacks.{op.name}),' for op in ops
    ]
    names = ", ".join(f'"{op.name}"' for op in ops)
    return "\n".join(
        [
            f'"""{name}: proven Metal kernels for MLX, with plain MLX where none fits."""',
            "",
            "from __future__ import annotations",
            "",
            "from typing import Any",
            "",
            "import mlx.core as mx",
            "",
            "from . import fallbacks, transforms",
            "from .dispatch import CatalogFunction, catalog",
            "from .info import rows",
            "",
            f'__version__ = "{version}"',
            f'__all__ = [{names}, "info"]',
            "",
            "transforms.install()",
            '_ops = {op["name"]: op for op in catalog()["ops"]}',
            "FUNCTIONS = {",
            *table,
            "}",
            *[line for op in ops for line in _function(op)],
            *_INFO,
        ]
    )


def _function(op: Op) -> list[str]:
    arrays = [t.name for t in op.inputs]
    needed = [f"{t.name}: mx.array" for t in op.inputs if not t.optional]
    optional = [f"{name}: mx.array | None = None" for name in op.optional]
    free = [f"{axis}: int" for axis in free_axes(op)]
    params = [f"{k}: {type(v).__name__} = {v!r}" for k, v in op.params.items()]
    signature = ", ".join([*needed, *free, *optional, *params])
    given = ", ".join(f'"{k}": {k}' for k in (*free_axes(op), *op.params))
    result = "mx.array" if len(op.outputs) == 1 else "tuple[mx.array, ...]"
    shapes = "; ".join(f"{t.name}[{', '.join(map(str, t.shape))}]" for t in op.inputs)
    formula = " ".join(op.formula.split()).replace("\\", "\\\\").replace('"""', "'''")
    return [
        "",
        "",
        f"def {op.name}({signature}) -> {result}:",
        f'    """{formula}',
        "",
        f"    Shapes: {shapes}.",
        '    """',
        f'    return FUNCTIONS["{op.name}"](({", ".join(arrays)},), {{{given}}})',
    ]
