"""Tiers order the registry from what is easy to what is hard."""

from __future__ import annotations

from dataclasses import replace

import ops
from ops import registry
from ops.tiers import _FAMILIES, tier


def test_every_family_has_a_tier_and_every_tier_has_ops() -> None:
    assert {op.family for op in registry.all_ops().values()} == set(_FAMILIES)
    assert {tier(op) for op in registry.all_ops().values()} == {1, 2, 3, 4, 5}


def test_a_gradient_is_harder_than_what_it_belongs_to() -> None:
    assert tier(registry.get("softmax_vjp")) == tier(registry.get("softmax")) + 1
    assert tier(registry.get("attention_vjp")) == 5


def test_an_op_of_a_family_of_its_own_is_in_the_middle() -> None:
    own: ops.Op = replace(registry.get("softmax"), family="mine")
    assert tier(own) == 3
