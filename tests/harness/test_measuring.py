from __future__ import annotations

import statistics

import numpy as np
import pytest

from foundry.harness.frames import Frame
from foundry.harness.jobs import Build, Crash, ReplyError
from foundry.harness.measuring.calibration import cache_bytes
from foundry.harness.measuring.jobs import (
    Calibrate,
    Clocked,
    Peaks,
    Samples,
    Solo,
    Time,
    TimingPlan,
)
from foundry.harness.measuring.loop import Rotation, Side, measure
from foundry.harness.measuring.timed import Bench
from foundry.harness.processes.pool import WorkerPool
from foundry.program import Launch, Program, TensorSpec
from ops import registry
from ops.spec import Case

SOFTMAX = registry.get("softmax")
WORKLOAD = SOFTMAX.workload(Case({"rows": 2, "cols": 32}), "float32")
OUT = TensorSpec("out", (2, 32), "float32")
X = np.random.default_rng(0).standard_normal((2, 32)).astype(np.float32)
PLAN = TimingPlan(blocks=6, min_blocks=3, budget_s=0.02, warm_up_s=0.005)


def program(source: str) -> Program:
    launch = Launch("softmax", ("x",), (OUT,), source, (1, 1, 1), (1, 1, 1))
    return Program((TensorSpec("x", (2, 32), "float32"),), ("out",), (launch,))


def job(plan: TimingPlan = PLAN) -> Time:
    inputs = ({"x": X}, {"x": -X})
    return Time(0, "softmax", "", WORKLOAD, "mx.softmax", inputs, (OUT,), plan, ghost=1)


def timed(pool: WorkerPool, word: str, plan: TimingPlan = PLAN) -> Samples | Crash:
    with pool.lease() as worker:
        worker.ask(Build((program(f"//{word}"), program(";")), (0, 1)), 20)
        found = worker.ask(job(plan), 60)
    assert isinstance(found, Samples | Crash)
    return found


def test_pairs_outputs_dispatch_and_untouched_inputs_come_back(pool: WorkerPool) -> None:
    found = timed(pool, "right")
    assert isinstance(found, Samples)
    assert 6 <= len(found.baseline_us) == len(found.kernel_us) <= 12
    assert min(*found.baseline_us, *found.kernel_us, found.dispatch_us) > 0
    np.testing.assert_allclose(found.outputs[0]["out"].sum(), 2, rtol=1e-5)
    assert found.changed == (None, None, None, None)
    assert found.cold_kernel_us == ()


def test_a_changed_input_is_reported(pool: WorkerPool) -> None:
    found = timed(pool, "zeroinput")
    assert isinstance(found, Samples)
    assert found.changed == ("x", "x", None, None)


def test_cold_pairs_are_measured_when_asked_for(pool: WorkerPool) -> None:
    plan = TimingPlan(blocks=4, min_blocks=2, budget_s=0.02, warm_up_s=0.005, cold=True)
    found = timed(pool, "right", plan)
    assert isinstance(found, Samples)
    assert len(found.cold_baseline_us) == len(found.cold_kernel_us) >= 4


def test_the_judge_clocks_calls_of_its_own(pool: WorkerPool) -> None:
    with pool.lease() as worker:
        worker.ask(Build((program("//late 0.002"), program(";")), (0, 1)), 20)
        worker.ask(job(), 60)
        clocked = worker.ask(Solo(10), 20)
    assert isinstance(clocked, Clocked)
    assert clocked.claimed_s >= 0.02
    # The judge's own watch starts when it reads that the calls began, which may be late.
    assert clocked.wall_s >= 0.01


def test_nothing_timed_is_nothing_to_repeat(pool: WorkerPool) -> None:
    found = pool.run(Solo(1), 20)
    assert isinstance(found, Crash)
    assert "nothing was timed" in found.reason


def test_a_device_has_peaks(pool: WorkerPool) -> None:
    found = pool.run(Calibrate(), 60)
    assert isinstance(found, Peaks)
    assert min(found.cached_gb_s, found.memory_gb_s, found.gflops, found.mlx_dispatch_us) > 0
    assert found.cache_bytes == cache_bytes("cpu") >= 1 << 20


class Clock:
    """Stands for the machine: calls take the time they are told, and the clock shows it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ns = 0
        monkeypatch.setattr("time.perf_counter_ns", lambda: self.ns)
        monkeypatch.setattr("time.perf_counter", lambda: self.ns / 1e9)

    def call(self, microseconds: float) -> Rotation:
        def work() -> None:
            self.ns += int(microseconds * 1e3)

        return Rotation([work])


def test_swapped_sides_swap_the_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    there = measure(Side(clock.call(50.0), 200.0), Side(clock.call(2.0), 200.0), TimingPlan())
    back = measure(Side(clock.call(2.0), 200.0), Side(clock.call(50.0), 200.0), TimingPlan())
    assert back == [(b, a) for a, b in there]


def test_the_loop_measures_latency_of_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    slow, fast = Side(clock.call(50.0), 1000.0), Side(clock.call(2.0), 200.0)
    pairs = measure(slow, fast, TimingPlan())
    assert all(pair == (50.0, 2.0) for pair in pairs)
    assert len(pairs) == 2 * TimingPlan().min_blocks
    assert slow.repeats == 20
    assert fast.repeats == 100


def test_sides_of_like_speed_get_equal_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    a, b = Side(clock.call(50.0), 1000.0), Side(clock.call(60.0), 1000.0)
    measure(a, b, TimingPlan())
    assert a.repeats == b.repeats == 20


def test_a_slow_kernel_is_measured_a_few_times_only(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    pairs = measure(Side(clock.call(50.0), 1000.0), Side(clock.call(3e6), 200.0), TimingPlan())
    assert 2 <= len(pairs) <= 4
    assert statistics.median(k for _, k in pairs) == 3e6


def test_a_clock_that_stands_still_ends_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.perf_counter_ns", lambda: 0)
    ticks = iter(range(10**9))
    monkeypatch.setattr("time.perf_counter", lambda: float(next(ticks)))
    side = Side(Rotation([lambda: None]), 200.0)
    assert side.batch_us() == 0.0


def test_more_samples_than_asked_for_are_no_result() -> None:
    reply = {"pairs": [[1.0, 1.0]] * 13, "cold": [], "repeats": [1, 1], "dispatch_us": 0}
    with pytest.raises(ReplyError):
        job().decode(Frame(reply, memoryview(b"")))


def test_a_bench_that_was_never_used_knows_nothing() -> None:
    with pytest.raises(ValueError, match="nothing was timed"):
        Bench("cpu", lambda event: None).solo(1)
