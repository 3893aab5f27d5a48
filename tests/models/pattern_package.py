"""A package with a kernel for every op that patterns are served by, from the templates."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from foundry.catalog.entry import CatalogEntry
from foundry.catalog.package import package_files
from foundry.judge.verdict import Evaluation, Proven, Status
from foundry.kernel import parse
from foundry.msl.stand_in.metal import metal
from foundry.program import Device
from ops import get
from templates import registry
from templates.render import render
from templates.space import default

STAND_IN = Device("metal", "Apple M1 (foundry cpu engine)", {"cores": 7})
OPS = (
    "rms_norm", "layer_norm", "swiglu", "geglu", "rope", "softmax", "add_rms_norm", "attention",
    "topk_gating", "moe_combine", "qmm_4bit", "qmm_8bit", "gather_qmm_swiglu",
    "rms_norm_vjp", "swiglu_vjp",
)  # fmt: skip


def entry(name: str, dtype: str) -> CatalogEntry:
    """The starting template's kernel, as if it had been proven wherever a tiny model calls it."""
    op = get(name)
    template = registry.for_op(name)[0]
    kernel = parse(render(template, default(template)))
    largest = 1 << 20
    evaluation = Evaluation(
        kernel_hash=kernel.hash,
        op=name,
        dtype=dtype,
        device_id=STAND_IN.id,
        status=Status.CORRECT,
        proven=Proven(
            axes=dict.fromkeys(op.axis_names, (1, largest)),
            params={p: (-1e9, 1e9) for p, v in op.params.items() if not isinstance(v, bool)},
            elements=1 << 30,
            flops=1 << 40,
        ),
    )
    return CatalogEntry(op, kernel, evaluation, STAND_IN)


def written(
    folder: Path,
    name: str,
    dtypes: tuple[str, ...] = ("float32",),
    ops: tuple[str, ...] = OPS,
) -> Path:
    """The folder that the package lies in."""
    entries = [entry(op, dtype) for op in ops for dtype in dtypes]
    for path, content in package_files(name, "0.1.0", entries).items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


@contextmanager
def at_work(folder: Path, name: str) -> Iterator[ModuleType]:
    """The package, imported where Metal stands in, every kernel dispatched where it is proven."""
    sys.path.insert(0, str(folder))
    try:
        with metal():
            module = importlib.import_module(name)
            module.choice.MODE = "all"
            yield module
    finally:
        sys.path.remove(str(folder))
