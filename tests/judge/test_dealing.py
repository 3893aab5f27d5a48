"""Secret deals: what the seed decides, and that every draw is a workload of the op."""

from __future__ import annotations

import pytest

from foundry.judge.oracle.dealing import (
    UNSEEN,
    deal,
    deal_thoroughly,
    elements_of,
    unseen,
)
from foundry.judge.oracle.inputs import DISTRIBUTIONS, applicable
from ops import registry

OPS = sorted(registry.all_ops())
NAMES = tuple(DISTRIBUTIONS)


@pytest.mark.parametrize("name", OPS)
def test_unseen_workloads_are_on_no_list_small_and_reproducible(name: str) -> None:
    op = registry.get(name)
    listed = {w.id for cases in ("visible", "hidden") for w in op.workloads(cases, "float16")}
    found = {seed: unseen(op, "float16", seed) for seed in range(40)}
    for seed, workloads in found.items():
        assert workloads == unseen(op, "float16", seed)
        assert len({w.id for w in workloads}) == len(workloads) == UNSEEN
        for workload in workloads:
            assert workload.id not in listed
            assert 0 < elements_of(op, workload) <= 1 << 15
            for axis in (a.name for a in op.axes if a.compiled):
                assert workload.axes[axis] in {c.axes[axis] for c in (*op.visible, *op.hidden)}
    assert len({w.id for workloads in found.values() for w in workloads}) > 80


def test_the_seed_shuffles_the_deal() -> None:
    workloads = registry.get("softmax").workloads("hidden", "float32")
    deals = {tuple(d for _, d in deal(workloads, NAMES, 4, seed)) for seed in range(20)}
    assert len(deals) == 20
    for found in deals:
        assert all(len(set(d)) == 4 and d[0] == NAMES[0] for d in found)
        assert {name for d in found for name in d} == set(NAMES)


def test_where_a_small_workload_is_timed_it_meets_every_distribution() -> None:
    softmax = registry.get("softmax")
    small, large = (
        softmax.workloads("bench", "float32")[0],
        softmax.workloads("bench", "float32")[-1],
    )
    ((_, all_of_them),) = deal_thoroughly(softmax, [small], NAMES, 4, 1)
    assert set(all_of_them) == set(NAMES)
    assert (all_of_them[0], all_of_them[-1]) == ("normal", "touched")
    ((_, few),) = deal_thoroughly(softmax, [large], NAMES, 4, 1)
    assert few == ("normal", "touched")


def test_a_deal_holds_only_what_applies() -> None:
    topk = registry.get("topk")
    names = applicable(topk, NAMES)
    ((_, dealt),) = deal_thoroughly(topk, topk.workloads("bench", "float32")[:1], names, 4, 1)
    assert "denormal" not in dealt
    ((_, only),) = deal(topk.workloads("visible", "float32")[:1], ("normal",), 4, 1)
    assert only == ("normal",)
