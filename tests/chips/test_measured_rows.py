"""A Mac's own times as rows of a fit: made up here, for chips that are known."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from foundry.chips import registry as chips
from foundry.chips.constants import Constants
from foundry.chips.fitting.accuracy import pairs
from foundry.chips.fitting.fit import fit
from foundry.chips.fitting.measured import LEAST_US, measured_rows
from foundry.chips.model import seconds
from foundry.chips.speeds import speeds
from foundry.harness.measuring.profiling import Unprofiled
from foundry.judge.verdict import TIMING_METHOD, Evaluation, Status, Timing
from foundry.kernel import Kernel
from foundry.msl.gpu.profile import GpuProfile, LaunchProfile, Reuse, SharedWork
from foundry.program import Device
from foundry.store.records import Origin, StoredEvaluation
from ops import get
from ops.spec import Op
from ops.workload import Workload

OP = get("silu")
BENCH = OP.workloads("bench", "float32")[-1]
MAC = Device("metal", "Apple M1 Max")


def text(number: int) -> str:
    return (
        '/*kernel\nop = "silu"\ngrid = ["rows * cols"]\nthreadgroup = [32]\n*/\n// --- body ---\n'
        f"uint i = thread_position_in_grid.x;\nout[i] = x[i] + T({number});\n"
    )


def stored(
    number: int, us: float, device: Device = MAC, method: int = TIMING_METHOD
) -> StoredEvaluation:
    timing = Timing(
        workload=BENCH.id,
        baseline="mx",
        baseline_us=us,
        kernel_us=us,
        speedup=1,
        speedup_low=1,
        speedup_high=1,
        method=method,
    )
    found = Evaluation(
        kernel_hash=f"{number:064d}",
        op="silu",
        dtype="float32",
        device_id=device.id,
        status=Status.CORRECT,
        timings=(timing,),
    )
    origin = Origin("template", "silu/rows")
    return StoredEvaluation(number, 1, found, text(number), origin, None, device, datetime.now(UTC))


def bound_by_banks(passes: float) -> GpuProfile:
    stream = Reuse(32768, 32768, 131072, (1.0,) * 7, 1.0, 8, 8, 32768)
    work = {"fp32": 1e5, "device_load": 32768, "shared_load": passes / 4}
    shared = SharedWork(passes / 4, passes, passes / 4)
    launch = LaunchProfile(16, 0, 4096, 256, 4096, work, shared, (stream,), ())
    return GpuProfile((launch,))


def profile_of(kernel: Kernel, op: Op, workload: Workload) -> GpuProfile | Unprofiled:
    number = int(kernel.launches[0].body.split("T(")[1].split(")")[0])
    return bound_by_banks(4e6 * 2**number) if number else Unprofiled("it does too much")


def measured(passes: Sequence[int], bank: float) -> list[StoredEvaluation]:
    """What a Mac would measure whose threadgroup memory is as slow as `bank` says."""
    chip = speeds(chips.get("m1-max"))
    assert chip is not None
    truth = Constants(bank=bank)
    times = [seconds(bound_by_banks(4e6 * 2**n), chip, truth) * 1e6 for n in passes]
    return [stored(n, us) for n, us in zip(passes, times, strict=True)]


def test_a_macs_times_move_the_constant_that_they_speak_of() -> None:
    usual = Constants().bank
    for bank in (usual, 4 * usual):
        found = measured_rows(measured(range(1, 7), bank), profile_of)
        assert len(list(pairs(found.rows))) >= 10
        assert {row.chip for row in found.rows} == {"m1-max"}
        fitted = fit(found.rows, found.profiles)
        if bank == usual:
            assert fitted["fixed"].bank == pytest.approx(usual, rel=0.3)
        assert fitted["dynamic"] == Constants()


def test_times_of_other_machines_and_what_nobody_can_rank_are_left_out() -> None:
    every = [
        stored(1, 100),
        stored(2, 200, Device("cpu", "Some CPU")),
        stored(3, LEAST_US / 2),
        stored(4, 400, method=TIMING_METHOD - 1),
        stored(5, 500, Device("metal", "Apple Z9")),
        stored(0, 600),
    ]
    found = measured_rows(every, profile_of)
    assert [row.us for row in found.rows] == [100]
    told = " ".join(found.left_out)
    assert "shorter than" in told
    assert "z9" in told
    assert "it does too much" in told
    assert found.left_out.total() == 3


def test_the_latest_time_of_a_kernel_counts() -> None:
    found = measured_rows([stored(1, 100), stored(1, 300)], profile_of)
    assert [row.us for row in found.rows] == [300]
