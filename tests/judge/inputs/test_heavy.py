"""Few values outweigh all others, at every scale of distance from the end of what is summed."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from foundry.judge.oracle.draws import heavy
from ops import Case, get


def shares(values: NDArray[np.float64], dropped: int) -> NDArray[np.float64]:
    """Of each row, what its last elements are of the sum of squares and of the sum of exp."""
    squares, weights = np.square(values), np.exp(values - values.max(axis=-1, keepdims=True))
    return np.array([t[:, -dropped:].sum(-1) / t.sum(-1) for t in (squares, weights)])


def test_sixteen_outweigh_all_others() -> None:
    values = heavy.draw(np.random.default_rng(1), (4, 1_000_003), "float32")
    squares = np.sort(np.square(values), axis=-1)
    share = squares[:, -16:].sum(axis=-1) / squares.sum(axis=-1)
    assert (np.sort(share)[2:] > 0.7).all(), "in every other row"
    weights = np.exp(np.minimum(values, 20.0))
    tops = np.sort(weights, axis=-1)[:, -16:].sum(axis=-1) / weights.sum(axis=-1)
    assert (tops > 0.7).all()


@pytest.mark.parametrize("dropped", [20, 31, 1_000, 1_000_000 // 300, 1_000_000 // 64])
def test_none_of_the_ends_can_be_left_out(dropped: int) -> None:
    values = heavy.draw(np.random.default_rng(7), (20, 1_000_000), "float32")
    of_squares, of_exp = shares(values, dropped)
    assert (np.sort(of_squares)[10:] > 0.02).all()
    assert (of_exp > 0.01).all()


def test_of_matrices_rows_are_heavy() -> None:
    values = heavy.draw(np.random.default_rng(7), (2, 1, 5_000, 16), "float32")
    sizes = np.abs(values).min(axis=-1)
    assert ((sizes > 8.0).sum(axis=-1) >= 10).all()


@pytest.mark.parametrize("shape", [(), (0,), (4, 0), (1,), (2, 3), (2, 3, 1), (5, 0, 4)])
def test_any_shape_has_some(shape: tuple[int, ...]) -> None:
    values = heavy.draw(np.random.default_rng(1), shape, "float16")
    assert values.shape == shape
    assert np.isfinite(values).all()


def test_elements_alone_have_nothing_to_outweigh() -> None:
    assert not heavy.weighs(
        get("silu"), get("silu").workload(Case({"rows": 99, "cols": 99}), "float32")
    )
    rows = get("row_sum").workload(Case({"rows": 1, "cols": 99}), "float32")
    assert heavy.weighs(get("row_sum"), rows)


def test_what_exp_outweighs_in_one_run_squares_do_in_the_other() -> None:
    one, other = (
        np.abs(draw(np.random.default_rng(3), (1_000_000,), "float32")).max()
        for draw in (heavy.draw, heavy.draw_heavier)
    )
    assert one < 20.0 < 400.0 < other
