"""A package that holds every op of the registry, each with a kernel that is never dispatched."""

from __future__ import annotations

from foundry.catalog.entry import CatalogEntry
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


def every_op() -> list[CatalogEntry]:
    return [entry_of(op) for op in all_ops().values()]
