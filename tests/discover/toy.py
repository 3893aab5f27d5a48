"""A small op, kernels and evaluations of it, for tests that run nothing."""

from __future__ import annotations

from foundry.judge.verdict import Diagnostic, Evaluation, Status, Timing
from foundry.program import Device
from ops.axis import axes
from ops.spec import Op
from ops.workload import Case, Tensor

OP = Op(
    name="twice",
    family="test",
    formula="out[r, c] = 2 x[r, c] + shift",
    axes=axes("rows cols"),
    inputs=(Tensor("x", ("rows", "cols")),),
    outputs=(Tensor("out", ("rows", "cols")),),
    oracle=lambda inputs, workload: (2 * inputs["x"] + inputs["shift"],),
    baselines={},
    flops="rows * cols * 2",
    visible=(Case({"rows": 2, "cols": 3}),),
    hidden=(Case({"rows": 7, "cols": 13}),),
    bench=(Case({"rows": 64, "cols": 1024}, label="toy decode"),),
    params={"shift": 0.5},
)
DEVICE = Device("cpu", "Toy CPU (2 cores)")


def kernel(body: str = "out[0] = x[0] * 2 + shift;", threads: int = 32) -> str:
    """A kernel file for the op."""
    return f"""/*kernel
op = "twice"
grid = ["rows * cols", 1, 1]
threadgroup = [{threads}, 1, 1]
*/
// --- body ---
{body}
"""


def passed(speedup: float = 1.5) -> Evaluation:
    """A proven, timed kernel."""
    timing = Timing(
        workload="twice[rows=64,cols=1024,shift=0.5]float32",
        label="toy decode",
        baseline="mx",
        baseline_us=20.0,
        kernel_us=20.0 / speedup,
        speedup=speedup,
        speedup_low=speedup * 0.95,
        speedup_high=speedup * 1.05,
        bytes_moved=2 * 64 * 1024 * 4,
        flops=2 * 64 * 1024,
        floor_us=5.0,
    )
    return Evaluation(
        kernel_hash="0" * 64,
        op="twice",
        dtype="float32",
        device_id=DEVICE.id,
        status=Status.FASTER if timing.speedup_low > 1 else Status.CORRECT,
        timings=(timing,),
    )


def failed(status: Status, *diagnostics: Diagnostic) -> Evaluation:
    """A kernel that did not pass."""
    return Evaluation(
        kernel_hash="0" * 64,
        op="twice",
        dtype="float32",
        device_id=DEVICE.id,
        status=status,
        diagnostics=diagnostics or (Diagnostic(stage="build", message="no"),),
    )
