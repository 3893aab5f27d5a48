"""Modifiers of attention: what their Metal and their NumPy say, and refusals where they differ."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops import CAUSAL, Mask, Score, Tensor, masked_attention
from ops.declaring.validation import check
from ops.errors import UsageError
from ops.families.attention.block_masks import EMPTY, FULL, bounds_of, states_of
from ops.texts.metal_values import evaluate

WINDOW: dict[str, Any] = {"first": "q - w + 1", "until": "q + 1", "params": {"w": (4, 2)}}


def window(metal: str, **changed: Any) -> Mask:
    return Mask(np=lambda q, k, w: (k <= q) & (k > q - w), metal=metal, **{**WINDOW, **changed})


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (
            window("k <= q && k >= q - w"),
            r"differ at q = 4, k = 0 .*w = 4.*NumPy says False, Metal",
        ),
        (window("k <= q"), "differ at q = 4, k = 0"),
        (window("k <= q && k > q - w", first="q - w + 2"), "outside of its bounds at q = 3, k = 0"),
        (window("k <= q && k > q - w", until="q"), "outside of its bounds at q = 0, k = 0"),
        (window("k <= q && k > q -"), "no MLX text follows from"),
        (window("k <= q && k > q - width"), r"unknown name 'width'|'width' is none of"),
        (window("near(k, q)"), "'near' is none of the functions"),
        (window("k <= q; k > q - w"), "no MLX text follows from"),
    ],
)
def test_a_mask_that_is_not_what_it_says_is_refused(mask: Mask, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check(masked_attention("mine", mask))


@pytest.mark.parametrize(
    ("score", "said"),
    [
        (Score(np=lambda s: 2.0 * s, metal="2.0f * s + 1.0f"), "differ at h = 0, q = 0, k = 0"),
        (Score(np=lambda s, h: s + 2 * h, metal="s + h"), "differ at h = 1, q = 0, k = 0"),
        (
            Score(np=lambda s, q, k: s + (q - k) // 2, metal="s + float((q - k) / 2)"),
            "NumPy says .* Metal",
        ),
        (
            Score(np=lambda s: s * s, metal="s * s", slope="2.0f * s", slope_np=lambda s: s),
            "slope in NumPy is",
        ),
        (
            Score(np=lambda s: s * s, metal="s * s", slope="s", slope_np=lambda s: 2 * s),
            "slope in Metal is",
        ),
        (Score(np=np.square, metal="s * s"), "unknown argument of a NumPy formula 'x'"),
    ],
)
def test_a_score_that_is_not_what_it_says_is_refused(score: Score, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check(masked_attention("mine", CAUSAL, score))


def test_a_score_may_capture_tensors_of_its_own() -> None:
    table = Tensor("bias", ("heads * kv_len",))
    right = Score(
        np=lambda s, k, h, kv_len, bias: s + bias[h * kv_len + k],
        metal="s + float(bias[h * kv_len + k])",
        inputs=(table,),
    )
    assert [t.name for t in masked_attention("mine", CAUSAL, right).inputs][-1] == "bias"
    shifted = Score(np=right.np, metal="s + float(bias[k])", inputs=(table,))
    with pytest.raises(UsageError, match="differ at h = 1"):
        check(masked_attention("mine", CAUSAL, shifted))


@given(st.integers(-40, 40), st.integers(-40, 40).filter(bool))
def test_whole_numbers_divide_as_in_c(a: int, b: int) -> None:
    known = {"a": np.asarray(a), "b": np.asarray(b)}
    quotient, rest = int(evaluate("a / b", known)), int(evaluate("a % b", known))
    assert quotient == int(a / b)
    assert quotient * b + rest == a
    assert abs(rest) < abs(b)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3 - -4", 11),
        ("7 / 2 * 2.0f", 6.0),
        ("x > 0 ? x : -x", 3),
        ("1 << 3 | 1", 9),
        ("(5 & 3) == 1 && !(2 > 3)", True),
        ("clamp(x, -1, 1) + min(2, 3)", 1),
        ("rows[2] + 0x10", 18),
        ("true || nothing", None),
        ("float(7) / 2", 3.5),
        ("70000 * 70000", 605_032_704),
        ("uint(x) % 7u", 1),
        ("uint(x) > 7u", True),
        ("2654435761u * 3", 3_668_339_987),
        ("int(3e9f)", 2**31 - 1),
        ("uint(-2.5f)", 0),
        ("0xFFFFFFFF == ~0u", True),
    ],
)
def test_expressions_of_metal(text: str, value: Any) -> None:
    known = {"x": np.asarray(-3), "rows": np.arange(4)}
    if value is None:
        with pytest.raises(UsageError, match="'nothing' is none of x, rows"):
            evaluate(text, known)
    else:
        assert evaluate(text, known) == value


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 17),
    st.integers(1, 17),
    st.integers(0, 2**32),
)
def test_live_blocks_hold_every_pair_and_full_ones_need_no_mask(
    queries: int, keys: int, q_block: int, k_block: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    seen = rng.random((queries, keys)) < rng.choice([0.02, 0.5, 0.98])
    states = states_of(seen, q_block, k_block)
    first, until = bounds_of(states)
    wide = np.repeat(np.repeat(states, q_block, 0), k_block, 1)[:queries, :keys]
    assert not seen[wide == EMPTY].any()
    assert seen[wide == FULL].all()
    column = np.arange(states.shape[1])
    live = (column >= first[:, None]) & (column < until[:, None])
    assert not (states[~live] != EMPTY).any()
