"""When measuring stops: near 1 late, far from 1 early, and the interval stays honest."""

from __future__ import annotations

import math

import numpy as np
import pytest

from foundry.harness.measuring.jobs import TimingPlan
from foundry.harness.measuring.loop import Side, is_precise, measure
from foundry.judge.time.statistics import speedup

PLAN = TimingPlan()
Pairs = list[tuple[float, float]]


class Noisy:
    """Calls whose latency drifts, scatters and is now and then far too long."""

    def __init__(self, rng: np.random.Generator, drift: list[float], us: float) -> None:
        self._rng, self._drift, self._us = rng, drift, us

    def run(self, count: int) -> None:
        noise = self._rng.normal(0, 0.02) + (self._rng.random() < 0.05) * self._rng.exponential(0.4)
        self._drift[1] += self._rng.normal(0, 0.01)
        self._drift[0] += count * self._us * math.exp(noise + self._drift[1])


def measured(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator, ratio: float, plan: TimingPlan = PLAN
) -> Pairs:
    """Pairs of one simulated measurement; the clock shows only what the calls take."""
    now = [0.0, 0.0]
    monkeypatch.setattr("time.perf_counter_ns", lambda: now[0] * 1e3)
    monkeypatch.setattr("time.perf_counter", lambda: now[0] / 1e6)
    baseline, kernel = Noisy(rng, now, 20.0 * ratio), Noisy(rng, now, 20.0)
    return measure(Side(baseline, 1000.0), Side(kernel, 1000.0), plan)


@pytest.mark.parametrize("ratio", [0.3, 1.0, 1.1, 3.0])
def test_intervals_hold_the_truth_though_they_decide_when_to_stop(
    monkeypatch: pytest.MonkeyPatch, ratio: float
) -> None:
    rng = np.random.default_rng(7)
    held, trials = 0, 150
    for trial in range(trials):
        pairs = measured(monkeypatch, rng, ratio)
        found = speedup([a for a, _ in pairs], [b for _, b in pairs], trial)
        held += found.low <= ratio <= found.high
    assert held >= 0.85 * trials  # 92 % of 600 in the long run


def test_what_is_far_from_one_takes_fewer_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    near, far = (
        [len(measured(monkeypatch, rng, ratio)) for _ in range(20)] for ratio in (1.0, 4.0)
    )
    assert np.median(near) == 2 * PLAN.blocks
    assert np.median(far) == 2 * PLAN.min_blocks


def test_near_one_the_precision_does_not_depend_on_the_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for seed in range(20):
        with_share = measured(monkeypatch, np.random.default_rng(seed), 1.0)
        without = measured(monkeypatch, np.random.default_rng(seed), 1.0, TimingPlan(share=0.0))
        assert with_share == without


def test_one_block_is_never_enough() -> None:
    assert not is_precise([(1.0, 1.0)] * 2, PLAN)
    assert is_precise([(1.0, 1.0)] * 4, PLAN)


def test_an_outlier_does_not_prolong_what_is_clear() -> None:
    rng = np.random.default_rng(3)
    pairs = [(3.0 * math.exp(rng.normal(0, 0.01)), 1.0) for _ in range(20)]
    assert is_precise(pairs, PLAN)
    pairs[5] = (30.0, 1.0)
    assert is_precise(pairs, PLAN)
    assert not is_precise(pairs, TimingPlan(share=0.0))
