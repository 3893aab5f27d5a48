"""Axes along which masks of blocks are no independent places."""

from __future__ import annotations

import pytest

import ops
from foundry.judge.oracle.sampling import independent_axes


@pytest.mark.parametrize(
    "name",
    ["attention_top_tiles", "attention_block_sparse_64", "attention_block_sparse_128"],
)
def test_queries_of_one_block_do_not_stand_for_those_of_others(name: str) -> None:
    assert "q_len" not in independent_axes(ops.get(name))


def test_queries_that_see_every_key_are_independent() -> None:
    assert "q_len" in independent_axes(ops.get("attention_full"))
