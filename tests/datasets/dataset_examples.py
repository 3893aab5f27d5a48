"""A store with kernels of real templates, verdicts made up."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

from foundry.judge.verdict import (
    TIMING_METHOD,
    Diagnostic,
    Evaluation,
    OutputError,
    Proven,
    Status,
    Timing,
)
from foundry.kernel import Kernel, parse
from foundry.kernel import render as canonical
from foundry.program import Device
from foundry.store import Origin, Store
from foundry.store.records import PREDICTIONS
from templates.registry import for_op
from templates.render import render
from templates.space import points

CPU = Device("cpu", "Test CPU (2 cores)", {"cores": 2})
METAL = Device("metal", "Apple M4 Max", {"gpu_cores": 40})
TEMPLATE = "template"


def template_kernel(op: str, number: int = 0, which: int = 0) -> tuple[Kernel, Origin]:
    template = for_op(op)[which]
    point = next(itertools.islice(points(template), number, None))
    return parse(render(template, point)), Origin("template", template.name, {"knobs": point})


def variant(kernel_text: str, old: str, new: str) -> Kernel:
    """The kernel with a word, or a whole line, replaced everywhere."""
    changed = re.sub(rf"(?<!\w){re.escape(old)}(?!\w)", new, kernel_text)
    assert changed != kernel_text
    return parse(changed)


def verdict(
    kernel: Kernel,
    status: Status = Status.FASTER,
    *,
    dtype: str = "float32",
    device: Device = CPU,
    low: float = 1.5,
    judge_version: int | None = None,
    unwatched: int | None = 0,
    **more: object,
) -> Evaluation:
    fields: dict[str, object] = {
        "kernel_hash": kernel.hash,
        "op": kernel.op,
        "dtype": dtype,
        "device_id": device.id,
        "status": status,
        "stage_ms": {"parse": 0.5, "build": 40.0},
        "extra": {"note": [1, 2]},
    }
    if status.passed:
        fields["timings"] = (timing(low),)
        fields["proven"] = Proven(axes={"rows": (1, 7919)}, elements=100, unwatched=unwatched)
    else:
        fields["diagnostics"] = (Diagnostic(stage="verify", message="out[0] is 1\nsecond", line=3),)
        fields["errors"] = (
            OutputError(workload="w", output="out", max_abs_error=float("nan"), bound_ratio=2.5),
        )
    if judge_version is not None:
        fields["judge_version"] = judge_version
    return Evaluation.model_validate(fields | more)


def timing(low: float) -> Timing:
    return Timing(
        workload="w",
        label="smollm2-135m decode",
        baseline="mlx",
        baseline_us=12.25,
        kernel_us=8.0,
        speedup=low * 1.0625,
        speedup_low=low,
        speedup_high=low * 1.125,
        samples_baseline_us=(12.0, 12.25, 12.5),
        samples_kernel_us=(8.0, 8.125, 7.9),
        bytes_moved=4096,
        flops=8192,
        method=TIMING_METHOD,
    )


MUTATE = Origin("proposer", "mutate", {"move": "knob"})


class Filled:
    """A store to put kernels in, one call each."""

    def __init__(self, path: Path) -> None:
        self.store = Store.open(str(path))
        self.runs = {
            device.id: self.store.begin_run("run", "foundry run", {}, 1, device)
            for device in (CPU, METAL)
        }

    def add(
        self,
        kernel: Kernel,
        origin: Origin,
        evaluation: Evaluation | None = None,
        parent: str | None = None,
        text: str | None = None,
    ) -> str:
        evaluation = evaluation or verdict(kernel)
        run_id = self.runs[evaluation.device_id]
        self.store.save(run_id, kernel, text or canonical(kernel), evaluation, origin, parent)
        return kernel.hash


def fill_every_view(filled: Filled) -> None:
    """What gives every view a row: a slower kernel, a faster one, a broken one and its fix."""
    slower, origin = template_kernel("softmax", which=0)
    faster, broken = (template_kernel("softmax", which=which)[0] for which in (1, 2))
    fix = variant(canonical(broken), "// --- body ---", "// --- body ---\nuint z = 1;")
    said = {"predicted_us": 9.0, "bound": "memory", "sentences": ["bound by memory: read once"]}
    extra = {PREDICTIONS: {"softmax[rows=8,cols=8]float32": {"m4-max": said}}}
    filled.add(slower, origin, verdict(slower, low=0.5, extra=extra))
    filled.add(faster, MUTATE, verdict(faster), parent=slower.hash)
    filled.add(broken, MUTATE, verdict(broken, Status.SANITIZER_ERROR), parent=slower.hash)
    filled.add(fix, MUTATE, verdict(fix), parent=broken.hash)
