"""Names that the templates of attention use, and that a mask or a score therefore may not."""

from __future__ import annotations

import random
import re

import pytest

from ops import CAUSAL, Mask, masked_attention
from ops.declaring.masking import TAKEN
from ops.errors import UsageError
from templates import for_op, render
from templates.space import coverage

_DECLARED = re.compile(r"\b(?:auto|bool|float|int|uint|size_t) (\w+)(?:\[\w+\])?(?: = |;|\))")


def declared(text: str) -> set[str]:
    """Names of the launches that read every input; what merges their parts reads none."""
    launches = (part for part in text.split("/*kernel") if '"v", ' in part or "inputs" not in part)
    return {name for launch in launches for name in _DECLARED.findall(launch)}


def test_every_name_that_a_template_declares_is_taken() -> None:
    members = ("attention_lse", "attention_document_vjp", "attention_document")
    rng = random.Random(0)
    found = [(t, p) for name in members for t in for_op(name) for p in coverage(t, rng)]
    texts = [render(template, point) for template, point in found]
    assert set().union(*map(declared, texts)) - TAKEN == set()


def test_a_mask_with_such_a_name_is_refused() -> None:
    mine = Mask(np=lambda q, k, total: k <= q + total, metal="k <= q + total", params={"total": 1})
    with pytest.raises(UsageError, match="'total' is a name of attention's templates"):
        masked_attention("mine", mine)
    assert masked_attention("mine", CAUSAL).name == "mine"
