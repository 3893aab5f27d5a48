from __future__ import annotations

import math

import pytest

from foundry.harness.measuring.jobs import Peaks, Reach
from foundry.judge.options import bench_workloads, worth_timing
from foundry.judge.time import plausible
from foundry.judge.time.meter import undisturbed_us
from foundry.judge.time.pairs import Latencies
from ops import all_ops, registry
from ops.declaring.cases import at_shapes

PEAKS = Peaks((Reach(32 << 10, 200.0), Reach(8 << 20, 50.0)), memory_gb_s=10.0, gflops=100.0)


def latencies(baseline: list[float], kernel: list[float]) -> Latencies:
    return Latencies(tuple(baseline), tuple(kernel), 100.0)


def test_throttling_and_a_jump_of_the_clock_are_drift() -> None:
    calm = [10.0 + 0.1 * (i % 3) for i in range(30)]
    throttled = [10.0 * (1 + 0.02 * i) for i in range(30)]
    jumped = [10.0] * 15 + [25.0] * 15
    assert plausible.is_stable(latencies(calm, calm))
    assert not plausible.is_stable(latencies(throttled, calm))
    assert not plausible.is_stable(latencies(calm, throttled))
    assert not plausible.is_stable(latencies(calm, jumped))
    assert plausible.drift([0.0] * 9) == math.inf
    assert plausible.drift([1.0, 9.0]) == 1.0


def test_the_floor_is_that_of_the_level_which_holds_what_calls_go_through() -> None:
    silu = registry.get("silu")
    workload = silu.workload(silu.bench[0], "float32")
    by_level = [
        plausible.floor_us(silu, workload, PEAKS, held) for held in (1 << 10, 1 << 20, 1 << 30)
    ]
    assert by_level == pytest.approx([1536 * 8 / 2.5 / gb_s / 1e3 for gb_s in (200, 50, 10)])


def test_arithmetic_has_a_floor_too() -> None:
    matmul = registry.get("matmul")
    large = matmul.workload(matmul.bench[-1], "float32")
    floor_us = plausible.floor_us(matmul, large, PEAKS, 1 << 20)
    assert floor_us == pytest.approx(2 * 512 * 8192 * 2048 / 400 / 1e3)


def test_a_kernel_that_keeps_results_is_below_the_floor() -> None:
    """887 GB/s where this device does 325 in cache: of a matrix that is read at every call."""
    matmul = registry.get("matmul")
    workload = matmul.workload(matmul.bench[0], "float32")
    cache = Peaks((Reach(32 << 20, 325.0),), 20.0, 1e4)
    claimed_us = 4 * (576 * 576 + 2 * 576) / 887e3
    assert claimed_us < plausible.floor_us(matmul, workload, cache, 4 << 20) * 1.1


def test_a_baseline_must_agree_with_itself() -> None:
    assert plausible.agrees(50.0, 50.0, 59.0)
    assert plausible.agrees(59.0, 59.0, 50.0)
    assert not plausible.agrees(50.0, 50.0, 61.0)
    assert not plausible.agrees(61.0, 61.0, 50.0)


def test_a_long_baseline_may_find_its_caches_empty() -> None:
    assert plausible.agrees(874.0, 874.0, 1350.0)
    assert not plausible.agrees(874.0, 874.0, 2700.0)


def test_a_machine_may_have_changed_its_speed_since_the_baseline_was_chosen() -> None:
    assert plausible.agrees(1400.0, 2100.0, 2150.0)
    assert not plausible.agrees(700.0, 2100.0, 2150.0)


def test_a_short_baseline_that_was_faster_alone_is_not_timed() -> None:
    """MLX's threads hand it over more slowly: the kernel need not be slowed down by that."""
    assert not plausible.agrees(10.0, 24.0, 25.0)


@pytest.mark.parametrize(
    ("unseen", "timed", "factor"), [(100, 90, 1), (24, 10, 1), (140, 100, 1), (200, 100, 2)]
)
def test_a_kernel_is_as_slow_as_on_what_it_never_met(
    unseen: float, timed: float, factor: float
) -> None:
    assert plausible.unseen_factor(unseen, timed) == factor


def test_a_kernel_that_remembers_is_told_by_being_slow_on_what_is_new() -> None:
    assert plausible.remembers(plausible.unseen_factor(450.0, 30.0))
    assert not plausible.remembers(plausible.unseen_factor(60.0, 30.0))


def test_calm_moments_ignore_bursts() -> None:
    assert undisturbed_us([10.0 if i % 2 else 500.0 for i in range(100)]) == 10.0


def test_quick_picks_what_is_worth_timing() -> None:
    for op in all_ops().values():
        for dtype in op.dtypes:
            (chosen,) = bench_workloads(op, dtype, "quick")
            assert chosen == worth_timing(op, dtype)
    softmax = registry.get("softmax")
    assert worth_timing(softmax, "float32") != softmax.workloads("bench", "float32")[0]


def test_quick_leaves_out_no_size_that_was_asked_for() -> None:
    asked = [{"rows": 1, "cols": 8}, {"rows": 64, "cols": 4096}, {"rows": 2, "cols": 8}]
    softmax = at_shapes(registry.get("softmax"), asked)
    assert [w.axes for w in bench_workloads(softmax, "float32", "quick")] == asked
