"""Made-up but complete records for the store's tests."""

from __future__ import annotations

from foundry.judge.verdict import Diagnostic, Evaluation, OutputError, Status, Timing
from foundry.kernel import Kernel, parse
from foundry.program import Device
from foundry.store import Origin, Store

DEVICE = Device("cpu", "Test CPU (2 cores)", {"cores": 2, "mlx": "0.32.4", "ghz": 2.5})
ORIGIN = Origin("template", "silu/rows", {"threads": 64, "vector": True})


def kernel(number: int = 0, op: str = "silu") -> Kernel:
    return parse(
        f'/*kernel\nop = "{op}"\ngrid = ["rows * cols"]\nthreadgroup = [32]\n*/\n'
        f"// --- body ---\nuint i = thread_position_in_grid.x;\nout[i] = x[i] + T({number});\n"
    )


def timing(low: float, workload: str = "silu[rows=8,cols=64]float32") -> Timing:
    return Timing(
        workload=workload,
        label="smollm2-135m decode",
        baseline="mlx",
        baseline_us=10.0,
        kernel_us=10.0 / (low * 1.1),
        speedup=low * 1.1,
        speedup_low=low,
        speedup_high=low * 1.2,
        samples_baseline_us=(10.0, 10.1, 9.9),
        samples_kernel_us=(9.0, 9.1, 1 / 3),
        bytes_moved=4096,
        flops=2**40,
        floor_us=None,
    )


def passed(k: Kernel, low: float = 1.5, dtype: str = "float32", **more: object) -> Evaluation:
    fields: dict[str, object] = {
        "kernel_hash": k.hash,
        "op": k.op,
        "dtype": dtype,
        "device_id": DEVICE.id,
        "status": Status.FASTER if low > 1 else Status.CORRECT,
        "errors": (OutputError(workload="w", output="out", max_abs_error=1e-7, bound_ratio=0.25),),
        "timings": (timing(low), timing(low, "silu[rows=1,cols=1]float32")),
        "stage_ms": {"parse": 0.25, "build": 41.0},
        "seed": 2**40,
        "extra": {"barriers": 3},
    }
    return Evaluation.model_validate(fields | more)


def failed(k: Kernel, status: Status = Status.WRONG_RESULT, dtype: str = "float32") -> Evaluation:
    return Evaluation(
        kernel_hash=k.hash,
        op=k.op,
        dtype=dtype,
        device_id=DEVICE.id,
        status=status,
        diagnostics=(
            Diagnostic(stage="verify", message="out[3] is 7, expected 8", workload="w", line=9),
            Diagnostic(stage="verify", message="second\nline é ∑ \udcff \0", hidden=True),
        ),
    )


def begin(store: Store, seed: int = 1, **settings: object) -> int:
    return store.begin_run(
        "run", "foundry run --ops silu", {"ops": ["silu"], **settings}, seed, DEVICE
    )
