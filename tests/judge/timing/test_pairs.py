"""When measuring stops, and what it finds: simulated machines whose clock shows what calls take."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from foundry.harness.measuring.jobs import TimingPlan
from foundry.judge.time.pairs import Latencies, Line, is_precise, measure
from foundry.judge.time.slopes import Couple, Lengths, couple, fit
from foundry.judge.time.statistics import speedup

PLAN = TimingPlan()
FIXED_S = 120e-6


class Machine:
    """Its clock stands still but for batches, which cost something each, and drift and scatter."""

    def __init__(self, rng: np.random.Generator | None = None) -> None:
        self.now_s = 0.0
        self._rng = rng
        self._drift = 0.0

    def clock(self) -> float:
        return self.now_s

    def side(self, us: float, fixed_s: float = FIXED_S) -> Callable[[int], float]:
        def batch(calls: int) -> float:
            spent_s = fixed_s + calls * us * 1e-6 * math.exp(self._noise())
            self.now_s += spent_s
            return spent_s

        return batch

    def _noise(self) -> float:
        if self._rng is None:
            return 0.0
        self._drift += self._rng.normal(0, 0.01)
        burst = (self._rng.random() < 0.05) * self._rng.exponential(0.4)
        return float(self._drift + self._rng.normal(0, 0.02) + burst)


def measured(rng: np.random.Generator, ratio: float, plan: TimingPlan = PLAN) -> Latencies:
    machine = Machine(rng)
    lengths = Lengths(10, 40)
    baseline, kernel = (Line(machine.side(us), lengths) for us in (20.0 * ratio, 20.0))
    return measure(baseline, kernel, plan, machine.clock)


@pytest.mark.parametrize("us", [0.5, 3.0, 20.0, 900.0, 4e4])
def test_the_slope_is_the_time_of_one_call_whatever_a_batch_costs(us: float) -> None:
    batch = Machine().side(us)
    lengths = fit(batch, PLAN.batch_us, 64)
    assert lengths.short < lengths.long <= 64
    found = couple(batch, lengths)
    assert found.latency_us == pytest.approx(us)
    assert found.fixed_us == pytest.approx(FIXED_S * 1e6)


def test_batches_fill_the_stretch_or_hold_as_many_calls_as_they_may() -> None:
    assert fit(Machine().side(1.0), 800.0, 64) == Lengths(16, 64)
    assert fit(Machine().side(1e6), 800.0, 64) == Lengths(0, 1)
    assert 800.0 / 30.0 <= fit(Machine().side(30.0), 800.0, 64).long <= 64


def test_a_call_that_takes_no_time_has_a_ratio_all_the_same() -> None:
    assert couple(lambda calls: 1e-4, Lengths(1, 4)).latency_us > 0


def test_the_same_machine_on_both_sides_reads_one() -> None:
    for fixed_s in (0.0, 150e-6, 5e-3):
        machine = Machine()
        lines = [Line(machine.side(7.0, fixed_s), Lengths(16, 64)) for _ in range(2)]
        found = measure(*lines, PLAN, machine.clock)
        assert found.baseline_us == pytest.approx(found.kernel_us)
        assert found.fixed_us == pytest.approx(fixed_s * 1e6)


def test_swapped_sides_swap_the_times() -> None:
    machine = Machine()
    a, b = (Line(machine.side(us), Lengths(4, 16)) for us in (50.0, 2.0))
    there, back = measure(a, b, PLAN, machine.clock), measure(b, a, PLAN, machine.clock)
    assert there.baseline_us == pytest.approx(back.kernel_us)
    assert there.kernel_us == pytest.approx(back.baseline_us)


def test_a_kernel_that_is_slow_once_a_batch_hides_nothing() -> None:
    """Such as one that computes for all calls in the first."""
    machine = Machine()
    baseline = Line(machine.side(50.0), Lengths(16, 64))
    kernel = Line(machine.side(1.0, fixed_s=64 * 40e-6), Lengths(16, 64))
    found = measure(baseline, kernel, PLAN, machine.clock)
    assert min(found.kernel_us) > 30.0


def test_a_slow_kernel_is_measured_a_few_times_only() -> None:
    machine = Machine()
    kernel = Line(machine.side(3e6), Lengths(0, 1))
    found = measure(Line(machine.side(50.0), Lengths(4, 16)), kernel, PLAN, machine.clock)
    assert 2 <= len(found.kernel_us) <= 4
    assert found.kernel_us[0] == pytest.approx(3e6, rel=1e-3)


@pytest.mark.parametrize("ratio", [0.3, 1.0, 1.1, 3.0])
def test_intervals_hold_the_truth_though_they_decide_when_to_stop(ratio: float) -> None:
    rng = np.random.default_rng(7)
    held, trials = 0, 150
    for _ in range(trials):
        found = measured(rng, ratio)
        interval = speedup(found.baseline_us, found.kernel_us)
        held += interval.low <= ratio <= interval.high
    assert held >= 0.85 * trials


def test_what_is_far_from_one_takes_fewer_blocks() -> None:
    rng = np.random.default_rng(1)
    near, far = ([len(measured(rng, r).kernel_us) for _ in range(20)] for r in (1.0, 4.0))
    assert np.median(near) == 2 * PLAN.blocks
    assert np.median(far) < np.median(near)


def test_near_one_the_precision_does_not_depend_on_the_share() -> None:
    for seed in range(20):
        one, other = (
            measured(np.random.default_rng(seed), 1.0, plan)
            for plan in (PLAN, TimingPlan(share=0.0))
        )
        assert one == other


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


def test_a_fixed_cost_within_bounds_is_not_doubted() -> None:
    found = Couple(Lengths(16, 64), short_s=260e-6, long_s=740e-6)
    assert found.latency_us == pytest.approx(10.0)
    assert found.doubted_us(100.0) == pytest.approx(10.0)
    assert found.doubted_us(20.0) == pytest.approx(11.25)
