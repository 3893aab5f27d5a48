from __future__ import annotations

import math

import numpy as np
import pytest

from foundry.harness.measuring.jobs import Clocked, Peaks, Samples
from foundry.judge.time import plausible
from ops import registry

PEAKS = Peaks(
    cached_gb_s=200.0, memory_gb_s=40.0, cache_bytes=32 << 20, gflops=100.0, mlx_dispatch_us=2.0
)


def samples(baseline: list[float], kernel: list[float]) -> Samples:
    return Samples(tuple(baseline), tuple(kernel), (1, 1))


def test_throttling_and_a_jump_of_the_clock_are_drift() -> None:
    calm = [10.0 + 0.1 * (i % 3) for i in range(30)]
    throttled = [10.0 * (1 + 0.02 * i) for i in range(30)]
    jumped = [10.0] * 15 + [25.0] * 15
    assert plausible.is_stable(samples(calm, calm))
    assert not plausible.is_stable(samples(throttled, calm))
    assert not plausible.is_stable(samples(calm, throttled))
    assert not plausible.is_stable(samples(calm, jumped))
    assert plausible.drift([0.0] * 9) == math.inf
    assert plausible.drift([1.0, 9.0]) == 1.0


def test_the_floor_is_bytes_over_bandwidth_or_arithmetic_over_peak() -> None:
    silu, matmul = registry.get("silu"), registry.get("matmul")
    small = silu.workload(silu.bench[0], "float32")
    assert plausible.floor_us(silu, small, PEAKS) == pytest.approx(
        max(1536 * 8 / 800, 1536 * 6 / 400) / 1e3
    )
    large = matmul.workload(matmul.bench[-1], "float32")
    assert plausible.floor_us(matmul, large, PEAKS) == pytest.approx(
        2 * 512 * 8192 * 2048 / 400 / 1e3
    )


def test_no_peaks_are_no_floor() -> None:
    silu = registry.get("silu")
    unknown = Peaks(math.inf, math.inf, 0, math.inf, 0.0)
    assert plausible.floor_us(silu, silu.workload(silu.bench[0], "float32"), unknown) == 0


def test_the_judges_clock_outweighs_the_workers() -> None:
    calls = plausible.solo_calls(10.0)
    assert calls == 300
    assert plausible.solo_calls(1e9) == 1
    assert plausible.solo_calls(0.0) == 100_000
    assert not plausible.contradicts(Clocked(claimed_s=3e-3, wall_s=3.2e-3))
    assert not plausible.contradicts(Clocked(claimed_s=1e-5, wall_s=8e-4))
    assert plausible.contradicts(Clocked(claimed_s=3e-4, wall_s=3e-3))
    assert plausible.contradicts(Clocked(claimed_s=0.0, wall_s=0.1))


@pytest.mark.parametrize(("beside", "alone", "slowed"), [(400, 100, True), (150, 100, False)])
def test_a_slowed_baseline_is_seen(beside: float, alone: float, slowed: bool) -> None:
    assert plausible.is_slowed(beside, alone) == slowed


def test_a_tiny_baseline_may_vary() -> None:
    assert not plausible.is_slowed(20.0, 2.0)


def test_calm_moments_ignore_bursts() -> None:
    rng = np.random.default_rng(0)
    times = [10.0 * (50.0 if rng.random() < 0.6 else 1.0) for _ in range(100)]
    assert plausible.undisturbed_us(times) == 10.0
