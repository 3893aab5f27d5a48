"""Noise is never taken for gain: searches over copies of the baseline find no winner."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from foundry.harness.processes.pool import WorkerPool
from foundry.judge import Judge, JudgeOptions
from foundry.judge.candidate import Candidate, Target, prepare
from foundry.judge.options import BEHIND, Rivals
from foundry.judge.stages import Walk
from foundry.judge.time.baselines import Bar
from foundry.judge.time.benchmark import Measured
from foundry.judge.time.confirmation import (
    Looks,
    blocks_for,
    fresh_seed,
    is_faster,
    spanning,
    widened,
)
from foundry.judge.time.pairs import Latencies
from foundry.judge.time.statistics import speedup
from foundry.judge.time.trial import Tried
from foundry.judge.time.work import Taken
from foundry.judge.verdict import Timing, score_of
from ops import registry

BLOCKS = 20
SOFTMAX = registry.get("softmax")
COPY = """/*kernel
op = "softmax"
grid = [1]
threadgroup = [1]
*/
// --- body ---
;
"""


def timing(baseline: np.ndarray, kernel: np.ndarray, workload: str = "w") -> Timing:
    found = speedup(list(baseline), list(kernel))
    return Timing(
        workload=workload,
        baseline="b",
        baseline_us=float(np.median(baseline)),
        kernel_us=float(np.median(kernel)),
        speedup=found.median,
        speedup_low=found.low,
        speedup_high=found.high,
        samples_baseline_us=tuple(baseline),
        samples_kernel_us=tuple(kernel),
    )


def measured(rng: np.random.Generator, gain: float = 1.0) -> Timing:
    """Pairs of a device that drifts by 15 %, with noise and a burst now and then."""
    moments = np.arange(2 * BLOCKS) / (2 * BLOCKS)
    level = 10.0 * (1 + 0.15 * np.sin(2 * np.pi * (moments * rng.uniform(0.2, 2) + rng.random())))
    sides = []
    for _ in range(2):
        noise = np.exp(0.05 * rng.standard_normal(2 * BLOCKS))
        bursts = np.where(rng.random(2 * BLOCKS) < 0.05, rng.uniform(1, 3, 2 * BLOCKS), 1.0)
        sides.append(level * noise * bursts)
    return timing(sides[0], sides[1] / gain)


def search(rng: np.random.Generator, copies: int, gain: float = 1.0) -> int:
    looks = Looks()
    winners = 0
    for _ in range(copies):
        first = measured(rng, gain)
        count = looks.add("softmax", "float32")
        if score_of([first]) > 1.0:
            winners += is_faster([measured(rng, gain)], count)
    return winners


def test_what_is_stated_holds_both_measurements() -> None:
    rng = np.random.default_rng(4)
    first, again = measured(rng, 1.5), measured(rng, 1.6)
    (stated,) = spanning([again], [first])
    assert stated.speedup == again.speedup
    assert stated.speedup_low == min(first.speedup_low, again.speedup_low)
    assert stated.speedup_high == max(first.speedup_high, again.speedup_high)
    assert spanning([again], []) == [again]


def test_forty_copies_of_the_baseline_give_no_winner_in_twenty_searches() -> None:
    rng = np.random.default_rng(20261121)
    assert sum(search(rng, 40) for _ in range(20)) == 0


class NoisyDevice:
    """Stands for a measurement in the judge: copies of the baseline on a device that drifts."""

    def __init__(self, rng: np.random.Generator, gain: float) -> None:
        self._rng = rng
        self._gain = gain

    def run(self, walk: Walk, target: Target, program: int, seed: int) -> Measured:
        found = measured(self._rng, self._gain)
        latencies = Latencies(found.samples_baseline_us, found.samples_kernel_us, 0.0)
        return Measured(found, Tried(latencies, 10.0, Taken(), 1.0, 0), Bar("b", 10.0, 0.0, 1), 1)


def timed(pool: WorkerPool, rng: np.random.Generator, gain: float, rivals: Rivals) -> Candidate:
    """A kernel of some gain after it was timed among its rivals."""
    judge = Judge(pool, JudgeOptions(sanitizer=None))
    judge._bench = NoisyDevice(rng, gain)  # type: ignore[assignment]
    candidate = Candidate(COPY, SOFTMAX, "float32", judge.seed, rivals=rivals)
    assert prepare(candidate, JudgeOptions(sanitizer=None)) is None
    walk = Walk(candidate, None, None, judge._references, JudgeOptions(sanitizer=None))  # type: ignore[arg-type]
    assert judge._benchmark(walk) is None
    return candidate


def winners(pool: WorkerPool, rng: np.random.Generator, copies: int, gain: float = 1.0) -> int:
    """How many kernels of one search the judge itself calls faster."""
    judge = Judge(pool, JudgeOptions(sanitizer=None))
    judge._bench = NoisyDevice(rng, gain)  # type: ignore[assignment]
    found = 0
    bound = Candidate(COPY, SOFTMAX, "float32", judge.seed)
    assert prepare(bound, JudgeOptions(sanitizer=None)) is None
    for _ in range(copies):
        candidate = replace(bound, timings=[], untimed={}, facts={})
        walk = Walk(candidate, None, None, judge._references, JudgeOptions(sanitizer=None))  # type: ignore[arg-type]
        assert judge._benchmark(walk) is None
        found += candidate.is_faster
    return found


def test_a_kernel_behind_the_best_is_measured_once_and_says_so() -> None:
    rng = np.random.default_rng(5)
    with WorkerPool("cpu", 1) as pool:
        behind = timed(pool, rng, 1.3, Rivals(best=2.0))
        ahead = timed(pool, rng, 1.3, Rivals(best=1.1))
        slower = timed(pool, rng, 0.7, Rivals(best=0.0))
    assert not behind.is_faster
    assert behind.facts[BEHIND] == 2.0
    assert "not of the best so far (2)" in behind.unproven[BEHIND].diagnostic.message
    (timing,) = behind.timings
    once = speedup(timing.samples_baseline_us, timing.samples_kernel_us)
    assert timing.speedup_low < once.low / 1.1
    assert timing.speedup_high > once.high * 1.1
    assert ahead.is_faster
    assert BEHIND not in ahead.facts
    assert len(slower.timings) == 1
    assert BEHIND not in slower.facts


def test_the_judge_names_no_winner_among_forty_copies_in_twenty_searches() -> None:
    rng = np.random.default_rng(4)
    with WorkerPool("cpu", 1) as pool:
        assert [winners(pool, rng, 40) for _ in range(20)] == [0] * 20
        assert winners(pool, rng, 10, gain=1.3) > 5


def test_a_real_gain_is_confirmed() -> None:
    rng = np.random.default_rng(1)
    assert search(rng, 10, gain=1.2) == 10


def test_later_picks_need_more() -> None:
    rng = np.random.default_rng(2)
    timings = [measured(rng, 1.035) for _ in range(40)]
    assert sum(is_faster([t], 1) for t in timings) > sum(is_faster([t], 1000) for t in timings)


def test_few_blocks_cannot_confirm_one_of_many_picks() -> None:
    assert [blocks_for(looks) for looks in (1, 6, 7, 10_000)] == [6, 8, 9, 19]
    few = timing(np.full(16, 20.0), np.full(16, 10.0))
    assert is_faster([few], 6)
    assert not is_faster([few], 7)


def test_a_gain_smaller_than_the_drift_is_none() -> None:
    rng = np.random.default_rng(3)
    found = [measured(rng, 1.3)]
    assert is_faster(found, 1)
    assert not is_faster(found, 1, drift=1.5)
    assert not is_faster([], 1)


def test_looks_are_counted_by_op_and_dtype() -> None:
    looks = Looks()
    assert [looks.add("a", "float32") for _ in range(3)] == [1, 2, 3]
    assert looks.add("a", "float16") == 1


def test_a_confirmation_is_corrected_for_all_its_kernels_from_the_first() -> None:
    looks = Looks()
    looks.expect("a", "float32", 8)
    assert looks.add("a", "float32") == 9
    looks.expect("a", "float32", 3)
    assert looks.add("a", "float32") == 10


def test_confirmation_draws_other_inputs() -> None:
    assert fresh_seed(1) != 1
    assert fresh_seed(1) == fresh_seed(1) != fresh_seed(2)


def test_intervals_of_finalists_hold_for_all_of_them_at_once() -> None:
    """How often the best of five copies of the baseline is stated to be faster than it."""
    rng = np.random.default_rng(8)
    misses = {1: 0, 5: 0}
    for _ in range(100):
        found = [measured(rng) for _ in range(5)]
        for finalists in misses:
            lows = [widened([timing], finalists)[0].speedup_low for timing in found]
            misses[finalists] += max(lows) > 1.0
    assert misses[1] >= 8, "unwidened, luck among five passes for gain"
    assert misses[5] <= 7


def test_a_widened_interval_holds_the_plain_one() -> None:
    plain = measured(np.random.default_rng(4), 1.2)
    for finalists in (1, 2, 10):
        (wide,) = widened([plain], finalists)
        assert wide.speedup_low <= plain.speedup_low <= plain.speedup
        assert wide.speedup_high >= plain.speedup_high
        assert wide.speedup == plain.speedup


def test_a_score_over_many_workloads_does_not_underflow() -> None:
    base = np.full(2 * BLOCKS, 10.0)
    timings = [timing(base, base * 1e5)] * 200
    assert score_of(timings) == pytest.approx(1e-5)
