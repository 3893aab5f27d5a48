"""A package of ops of every form in the registry, with kernels that are never dispatched."""

from __future__ import annotations

from foundry.catalog.entry import CatalogEntry
from foundry.catalog.signatures import SURFACE
from foundry.judge.verdict import Evaluation, Status
from foundry.kernel import Kernel, KernelLaunch
from foundry.program import Device
from ops import Op, all_ops

MAC = Device("metal", "Apple M4 Max", {"cores": 40})


def entry_of(op: Op) -> CatalogEntry:
    kernel = Kernel(op.name, (KernelLaunch("// nothing", (1, 1, 1), (1, 1, 1)),))
    evaluation = Evaluation(
        kernel_hash=kernel.hash,
        op=op.name,
        dtype="float32",
        device_id=MAC.id,
        status=Status.CORRECT,
    )
    return CatalogEntry(op, kernel, evaluation, MAC)


def form(op: Op) -> tuple[object, ...]:
    """What the package treats alike: members of a family differ in their expressions alone."""
    tensors = (*op.inputs, *op.outputs)
    return (op.family, tuple((t.shape, t.dtype) for t in tensors), tuple(op.params))


OPS = list({form(op): op for op in reversed(all_ops().values())}.values())
"""The first op of every form."""


def every_op() -> list[CatalogEntry]:
    """One kernel an op, of those and of all that have MLX's own signature."""
    names = dict.fromkeys([*(op.name for op in OPS), "swiglu", "swiglu_packed", *SURFACE])
    return [entry_of(all_ops()[name]) for name in names]
