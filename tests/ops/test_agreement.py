"""Masks and scores whose NumPy and Metal part are refused with the first point where they do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ops
from foundry.testing.op_contract import disagreements
from ops.declaring.agreement import check
from ops.declaring.masking import AS_IT_IS, CAUSAL, EVERY_KEY, Mask, Score
from ops.errors import UsageError
from ops.families.attention.masked import masked_attention
from ops.families.attention.modifiers import WINDOW
from ops.fills import Int
from ops.workload import Tensor

FILE = """
from ops.families.attention.masked import masked_attention
from ops.declaring.masking import Mask

strict = masked_attention("strict", Mask(np=lambda q, k: k < q, metal="k <= q", until="q + 1"))
"""


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (replace(WINDOW, metal="k <= q && k >= q - window"), r"NumPy and Metal differ at q = "),
        (replace(WINDOW, first="q - window + 2"), r"sees a key outside of its bounds at q = "),
        (replace(WINDOW, until="q"), r"outside of its bounds .*until"),
        (Mask(np=lambda q, k: k % 2 == 0, metal="k % 2 == 1"), r"differ at q = \d+, k = 0"),
    ],
)
def test_a_mask_that_parts_from_itself_is_refused(mask: Mask, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check(mask, AS_IT_IS, mask.inputs)


def test_whole_numbers_of_a_kernel_have_32_bits() -> None:
    numbered = Mask(
        np=lambda q, k, kv_len: (q * kv_len + k) % 3 != 0, metal="(q * kv_len + k) % 3 != 0"
    )
    with pytest.raises(
        UsageError, match=r"differ at q = 6553\d, .*let none of its terms pass 2\^31"
    ):
        check(numbered, AS_IT_IS, ())
    folded = replace(numbered, metal="(q % 3 * (kv_len % 3) + k) % 3 != 0")
    check(folded, AS_IT_IS, ())
    powers = Score(np=lambda s, k: s + k * k * k, metal="s + float(k * k * k)")
    with pytest.raises(UsageError, match=r"differ at h = 0, .*let none of its terms pass 2\^31"):
        check(EVERY_KEY, powers, ())
    floats = replace(powers, metal="s + float(k) * float(k) * float(k)")
    check(EVERY_KEY, floats, ())


def test_a_score_that_parts_from_itself_is_refused() -> None:
    capped = Score(np=lambda s: 5.0 * np.tanh(s / 5.0), metal="5.0f * tanh(s / 4.0f)")
    with pytest.raises(UsageError, match="the score's NumPy and Metal differ at h = 0"):
        check(EVERY_KEY, capped, ())
    sloped = replace(
        capped, metal="5.0f * tanh(s / 5.0f)", slope="1.0f", slope_np=lambda s: 0.0 * s + 1.0
    )
    with pytest.raises(UsageError, match="the score's slope in NumPy is 1 at h = 0"):
        check(EVERY_KEY, sloped, ())


def test_a_users_file_is_held_to_it(tmp_path: Path) -> None:
    file = tmp_path / "strict.py"
    file.write_text(FILE)
    with pytest.raises(UsageError, match=r"strict.*NumPy and Metal differ at q = 0, k = 0"):
        ops.load_file(file)


BIAS = Tensor("bias", ("kv_len",))


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (Mask(np=lambda q, k: (k <= q) & (k != 200), metal="k <= q"), "differ at q = 298, k = 200"),
        (Mask(np=lambda q, k: (k <= q) & (q - k != 33), metal="k <= q"), "differ at q = 33, k = 0"),
        (
            Mask(np=lambda q, k: k <= q, metal="k <= q", mlx="k < q"),
            "NumPy and MLX differ at q = 0",
        ),
        (Mask(np=lambda q, k: q - k, metal="q != k"), "the mask's NumPy gives int64; give truth"),
        (
            Mask(np=lambda q, k: q[:3] > 0, metal="q > 0"),
            r"\[3, 1\], which does not broadcast",
        ),
        (Mask(np=lambda q, k: np.add(q, 1, out=q) > k, metal="k <= q"), "changes none of them"),
        (Mask(np=lambda q, k: 1 // 0, metal="k <= q"), "the mask's NumPy raises ZeroDivisionError"),
    ],
)
def test_rare_points_and_other_kinds_of_a_mask_are_refused(mask: Mask, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check(mask, AS_IT_IS, mask.inputs)


@pytest.mark.parametrize(
    ("score", "said"),
    [
        (
            Score(np=lambda s, h: s * 2.0 ** -(h + 1), metal="s * exp2(-4.0f * (h + 1) / heads)"),
            "differ at h = 0, .*heads = 6",
        ),
        (Score(np=lambda s, h: s + (h == 7), metal="s"), "differ at h = 7"),
        (Score(np=lambda s: np.minimum(s, 40.0), metal="s"), "s = 63.7: NumPy says 40"),
        (Score(np=lambda s: np.sqrt(s), metal="sqrt(s)"), "the score's NumPy gives nan at h = 0"),
        (
            Score(np=lambda s: np.where(s > 0, s, np.nan), metal="s"),
            "gives nan .*or -infinity where the key is to have no weight",
        ),
        (Score(np=lambda s, q, k: np.where(q == k, np.inf, s), metal="s"), "gives inf at h = 0"),
        (
            Score(np=lambda s, q, k: np.where(q - k == 2, -np.inf, s), metal="s"),
            "NumPy says -inf, Metal",
        ),
        (Score(np=lambda s: s, metal="q - k == 2 ? -INFINITY : s"), "Metal -inf"),
        (Score(np=lambda s: 2 * s, metal="2.0f * s", mlx="3 * s"), "NumPy and MLX differ at h = 0"),
        (Score(np=lambda s: s > 0, metal="s"), "the score's NumPy gives bool; give numbers"),
        (Score(np=lambda s: None, metal="s"), "the score's NumPy gives object; give numbers"),
        (Score(np=lambda s: s[..., 0], metal="s"), "heads, queries, keys"),
        (Score(np=lambda s: np.multiply(s, 2, out=s), metal="s"), "changes none of them"),
        (
            Score(
                np=lambda s, k, bias: s + np.take(bias, k + 1, mode="clip"),
                metal="s + bias[k + 1]",
                inputs=(BIAS,),
            ),
            r"Metal reads an input beyond its ends at q = 0, k = 6 .*s \+ bias\[k \+ 1\]",
        ),
    ],
)
def test_rare_points_and_other_kinds_of_a_score_are_refused(score: Score, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check(CAUSAL, score, score.inputs)


def test_a_function_with_a_memory_is_refused() -> None:
    calls: list[int] = []

    def remembers(s: object) -> object:
        calls.append(1)
        return s + len(calls)  # type: ignore[operator]

    with pytest.raises(UsageError, match="gives another value when it is asked again"):
        check(CAUSAL, Score(np=remembers, metal="s + 1"), ())


def test_a_condition_may_keep_a_read_within_its_ends() -> None:
    guarded = Score(
        np=lambda s, k, kv_len, bias: s + np.where(k + 1 < kv_len, bias[(k + 1) % kv_len], 0.0),
        metal="s + (k + 1 < kv_len ? float(bias[k + 1]) : 0.0f)",
        inputs=(BIAS,),
    )
    check(CAUSAL, guarded, (BIAS,))


def test_a_mask_of_a_head_is_told_where_it_belongs() -> None:
    near = Mask(np=lambda q, k, h: q - k <= h, metal="q - k <= h")
    with pytest.raises(UsageError, match="one for all heads.*let the score be -INFINITY"):
        masked_attention("mine", near)


def test_scores_of_minus_infinity_weigh_nothing() -> None:
    third = Score(
        np=lambda s, q: np.where(q % 3 == 0, -np.inf, s), metal="q % 3 == 0 ? -INFINITY : s"
    )
    op = masked_attention("mine", CAUSAL, third)
    check(CAUSAL, third, ())
    assert not list(disagreements(op, "float32", ("normal",)))


def test_a_mask_may_read_one_place_of_every_batch() -> None:
    lengths = Tensor("lengths", ("batch", "1"), "int32", Int(0, 40))
    mask = Mask(
        np=lambda q, k, lengths: (k < lengths[0]) & (q == q),
        metal="k < lengths[0]",
        inputs=(lengths,),
    )
    assert not list(disagreements(masked_attention("mine", mask), "float32", ("normal",)))
