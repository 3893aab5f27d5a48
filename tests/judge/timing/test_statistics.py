from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry.judge.time.statistics import outer_rank, speedup

times = st.lists(st.floats(0.1, 1e6), min_size=4, max_size=60).filter(lambda v: len(v) % 2 == 0)


def noisy(
    rng: np.random.Generator, level: float, count: int = 60, noise: float = 0.05
) -> list[float]:
    return list(level * np.exp(noise * rng.standard_normal(count)))


@given(times)
def test_equal_times_are_exactly_one(samples: list[float]) -> None:
    found = speedup(samples, samples)
    assert (found.low, found.median, found.high) == (1.0, 1.0, 1.0)


@given(times, st.floats(0.2, 5))
def test_a_constant_factor_is_found_whatever_the_drift(samples: list[float], factor: float) -> None:
    found = speedup([t * factor for t in samples], samples)
    assert found.low == pytest.approx(factor)
    assert found.high == pytest.approx(factor)


@given(times, times)
def test_swapped_labels_invert_the_ratio(a: list[float], b: list[float]) -> None:
    count = min(len(a), len(b))
    there, back = speedup(a[:count], b[:count]), speedup(b[:count], a[:count])
    assert there.median * back.median == pytest.approx(1)
    assert there.low <= there.median <= there.high


def test_the_interval_covers_one_for_equal_sides() -> None:
    rng = np.random.default_rng(1)
    found = [speedup(noisy(rng, 10), noisy(rng, 10)) for _ in range(200)]
    assert sum(s.low <= 1 <= s.high for s in found) >= 188


@pytest.mark.parametrize("blocks", [6, 8, 12, 15, 24])
def test_few_blocks_of_heavy_noise_hold_the_truth_as_often_as_promised(blocks: int) -> None:
    rng = np.random.default_rng(3)
    noise = np.exp(0.05 * rng.standard_t(2, (1000, 2 * blocks)))
    found = [speedup(list(10 * sides), [10.0] * (2 * blocks)) for sides in noise]
    assert sum(s.low <= 1 <= s.high for s in found) >= 940


@pytest.mark.parametrize(
    ("count", "level", "rank"),
    [(2, 0.95, 0), (8, 0.95, 0), (9, 0.95, 1), (15, 0.95, 3), (24, 0.95, 6), (24, 0.9999, 2)],
)
def test_ranks_are_those_of_the_sign_test(count: int, level: float, rank: int) -> None:
    assert outer_rank(count, level) == rank


def test_a_real_difference_is_significant() -> None:
    rng = np.random.default_rng(2)
    assert speedup(noisy(rng, 12), noisy(rng, 10)).low > 1.1


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_times_that_no_clock_gives_are_errors(bad: float) -> None:
    with pytest.raises(ValueError):
        speedup([1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, bad])


def test_missing_samples_are_errors() -> None:
    for a, b in (([], []), ([1.0], [1.0]), ([1.0, 2.0], [1.0])):
        with pytest.raises(ValueError):
            speedup(a, b)
