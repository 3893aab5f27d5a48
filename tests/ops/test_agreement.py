"""Masks and scores whose NumPy and Metal part are refused with the first point where they do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ops
from ops.agreement import check
from ops.errors import UsageError
from ops.families.attention.modifiers import WINDOW
from ops.masking import AS_IT_IS, EVERY_KEY, Mask, Score

FILE = """
from ops.families.attention.masked import masked_attention
from ops.masking import Mask

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
