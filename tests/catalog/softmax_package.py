"""A package of one softmax kernel, installed as a user would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from foundry.catalog.build import write_wheel
from foundry.catalog.entry import CatalogEntry
from foundry.judge.verdict import Evaluation, Proven, Status, Timing
from foundry.kernel import Kernel, KernelLaunch
from foundry.program import Device
from ops import get

MAC = Device("metal", "Apple M4 Max", {"cores": 40})
CPU = Device("cpu", "a CPU", {"cores": 2})
PROVEN = Proven(axes={"rows": (1, 512), "cols": (1, 4096)}, elements=1 << 20, flops=1_600_000)

ROWS = """uint i = thread_position_in_grid.x;
uint begin = i * N;
float top = -INFINITY;
for (uint j = 0; j < N; j++) top = max(top, float(x[begin + j]));
float total = 0;
for (uint j = 0; j < N; j++) total += exp(float(x[begin + j]) - top);
for (uint j = 0; j < N; j++) out[begin + j] = T(exp(float(x[begin + j]) - top) / total);"""

WRONG = ROWS.replace("/ total", "/ (2 * total)")


def softmax_kernel(body: str = ROWS) -> Kernel:
    return Kernel("softmax", (KernelLaunch(body, ("rows", 1, 1), (32, 1, 1), (("N", "cols"),)),))


def entry(
    kernel: Kernel, device: Device, low: float = 1.2, status: Status = Status.FASTER
) -> CatalogEntry:
    op = get(kernel.op)
    bench = op.workloads("bench", "float32")[0]
    timing = Timing(
        workload=bench.id,
        baseline=next(iter(op.baselines)),
        baseline_us=10.0,
        kernel_us=8.0,
        speedup=1.25,
        speedup_low=low,
        speedup_high=1.3,
    )
    evaluation = Evaluation(
        kernel_hash=kernel.hash,
        op=op.name,
        dtype="float32",
        device_id=device.id,
        status=status,
        timings=(timing,),
        proven=PROVEN if op.name == "softmax" else None,
    )
    return CatalogEntry(op, kernel, evaluation, device)


def install(folder: Path, device: Device = MAC, *more: CatalogEntry) -> Path:
    """The folder that the package lies in."""
    entries = [entry(softmax_kernel(), device), *more]
    wheel = write_wheel(folder / "dist", "fast_ops", "0.1.0", entries)
    target = folder / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--target", str(target), str(wheel)], check=True, timeout=120)
    return target


def run(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=site,
        env=os.environ | {"FAST_OPS_CACHE_DIR": str(site / "cache")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
