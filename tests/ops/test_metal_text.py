"""Metal expressions of masks and scores as MLX text."""

from __future__ import annotations

from contextlib import suppress

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.errors import UsageError
from ops.texts.metal import as_mlx

Q = mx.arange(7)[:, None]
K = mx.arange(9)[None, :]
SEGMENTS = mx.array([0, 0, 1, 1, 1, 2, -1, -1, -1])


def value(text: str, *, whole: bool = True, **names: object) -> np.ndarray:
    return np.array(eval(as_mlx(text, whole=whole), {"mx": mx, "q": Q, "k": K, **names}))


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("k <= q", lambda q, k: k <= q),
        ("k <= q && k > q - 3", lambda q, k: (k <= q) & (k > q - 3)),
        ("k < 2 || !(k <= q) && q != 4", lambda q, k: (k < 2) | (~(k <= q) & (q != 4))),
        ("abs(q - k) % 2 == 0", lambda q, k: np.abs(q - k) % 2 == 0),
        ("q / 2 == k / 2", lambda q, k: q // 2 == k // 2),
        ("min(q, 3) < max(k, 1)", lambda q, k: np.minimum(q, 3) < np.maximum(k, 1)),
        ("q > 3 ? k < 2 : k > 4", lambda q, k: np.where(q > 3, k < 2, k > 4)),
        ("q > k ? q > 3 ? 1 : 2 : 3", lambda q, k: np.where(q > k, np.where(q > 3, 1, 2), 3)),
        ("q > k ? 1 : q > 3 ? 2 : 3", lambda q, k: np.where(q > k, 1, np.where(q > 3, 2, 3))),
        ("1 + max(k ? q : 2, 3)", lambda q, k: 1 + np.maximum(np.where(k, q, 2), 3)),
        ("(q > 4) == true", lambda q, k: q > 4),
    ],
)
def test_conditions_mean_the_same(text: str, want: object) -> None:
    q, k = np.arange(7)[:, None], np.arange(9)[None, :]
    assert callable(want)
    np.testing.assert_array_equal(value(text), want(q, k))


def test_rows_are_taken_along_their_last_axis() -> None:
    found = value("s[q] == s[k] && s[k] >= 0", s=mx.stack([SEGMENTS, SEGMENTS[::-1]]))
    assert found.shape == (2, 7, 9)
    row = np.array(SEGMENTS)[::-1]
    np.testing.assert_array_equal(found[1], (row[:7, None] == row[None]) & (row[None] >= 0))


def test_one_place_of_a_row_is_that_of_all_queries_and_keys() -> None:
    found = value("k < rows[2 - 1]", rows=mx.array([[3, 5], [4, 6]]))
    np.testing.assert_array_equal(found[:, 0].sum(axis=-1), [5, 6])
    assert as_mlx("s - INFINITY * M_PI_F", whole=False) == "s - math.inf * math.pi"


def test_scores_divide_as_floats_and_lose_their_suffixes() -> None:
    score = as_mlx("s + exp2(-8.0f * float(h + 1) / heads) * tanh(s / 2.5f)", whole=False)
    assert score == "s + mx.power(2.0, -8.0 * (h + 1) / heads) * mx.tanh(s / 2.5)"


@given(st.text(alphabet="qk<=>&|!()[]%/+-1 ?:;", max_size=12))
def test_what_cannot_be_read_is_refused_in_words(text: str) -> None:
    with suppress(UsageError):
        assert as_mlx(text, whole=True)


def test_a_refusal_says_what_to_do() -> None:
    for text in ("q ? 1", "q = k", ""):
        with pytest.raises(UsageError, match="no MLX text follows from .* give it as mlx="):
            as_mlx(text, whole=True)
