"""Secret deals: what the seed decides, and that every draw is a workload of the op."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from foundry.judge.oracle.draws.distributions import DISTRIBUTIONS
from foundry.judge.oracle.inputs import applicable
from foundry.judge.oracle.workloads.dealing import (
    UNSEEN,
    deal,
    deal_thoroughly,
    elements_of,
    unseen,
    with_planted,
)
from ops import Axis, Case, Op, axes, registry
from ops.declaring.cases import cases
from ops.texts.expressions import holds
from templates import one_of_each_text

OPS = sorted({template.op for template in one_of_each_text()})
NAMES = tuple(DISTRIBUTIONS)


@pytest.mark.parametrize("name", OPS)
def test_unseen_workloads_are_on_no_list_small_and_reproducible(name: str) -> None:
    op = registry.get(name)
    listed = {w.id for cases in ("visible", "hidden") for w in op.workloads(cases, "float16")}
    found = {seed: unseen(op, "float16", seed) for seed in range(40)}
    for seed, workloads in found.items():
        assert workloads == unseen(op, "float16", seed)
        expected = UNSEEN + len(_beyond(op)) * 2 ** _switches(op)
        assert len({w.id for w in workloads}) == len(workloads) == expected
        for workload in workloads:
            assert workload.id not in listed
            assert 0 < elements_of(op, workload) <= 1 << 15
    assert len({w.id for workloads in found.values() for w in workloads}) > 50


def _switches(op: Op) -> int:
    return sum(isinstance(default, bool) for default in op.params.values())


def test_beyond_the_lists_a_switch_takes_both_values() -> None:
    for seed in range(10):
        found = unseen(registry.get("topk_gating"), "float32", seed)
        largest = [w.params["renormalised"] for w in found if w.axes["k"] == 32]
        assert sorted(map(bool, largest)) == [False, True]


def _beyond(op: Op) -> set[int]:
    """Sizes beyond the lists with which kernels of an op are tried."""
    listed = (*op.visible, *op.hidden)
    return {a.tried_to for a in op.axes if a.tried_to > max(c.axes[a.name] for c in listed)}


@pytest.mark.parametrize("name", ["topk", "rope", "attention"])
def test_a_kernel_meets_at_most_one_new_size_that_is_compiled_in(name: str) -> None:
    op = registry.get(name)
    (axis,) = [a.name for a in op.axes if a.compiled]
    sizes = {case.axes[axis] for case in (*op.visible, *op.hidden)}
    sizes |= _beyond(op)
    new = [{w.axes[axis] for w in unseen(op, "float16", seed)} - sizes for seed in range(40)]
    assert all(len(found) <= 1 for found in new)
    assert sum(map(len, new)) > 20
    assert max(size for found in new for size in found) <= max(sizes)


@given(
    multiple=st.sampled_from([1, 2, 8, 32, 64]),
    least=st.sampled_from([0, 1, 64, 100]),
    constraint=st.sampled_from(["k >= 0", "n <= k", "k % n == 0", "m + n < k", "n % m == 0"]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=40)
def test_drawn_sizes_keep_the_rules_of_axes_and_those_between_them(
    multiple: int, least: int, constraint: str, seed: int
) -> None:
    sizes = [(2, 4, 64), (4, 8, 128), (1, 2, 256), (3, 9, 576)]
    listed = [Case({"m": m, "n": n, "k": max(k // multiple, 2) * multiple}) for m, n, k in sizes]
    op = replace(
        registry.get("matmul"),
        axes=axes("m n", Axis("k", multiple_of=multiple, least=least)),
        constraints=(constraint,),
        visible=tuple(listed[:2]),
        hidden=tuple(listed[2:]),
    )
    cases = [case for case in listed if case.axes["k"] >= least and holds(constraint, case.axes)]
    assume(cases)
    op = replace(op, visible=tuple(cases), hidden=())
    found = unseen(op, "float32", seed)
    assert found
    for workload in found:
        assert workload.axes["k"] % multiple == 0
        assert workload.axes["k"] >= least
        assert holds(constraint, workload.axes)


@pytest.mark.parametrize(
    ("k", "constraints"),
    [
        (Axis("k", multiple_of=32), ()),
        (Axis("k"), ("k % 32 == 0",)),
        (Axis("k"), ("k % 32 == 0", "n <= k")),
    ],
)
def test_most_drawn_sizes_are_on_no_list_where_few_are_allowed(
    k: Axis, constraints: tuple[str, ...]
) -> None:
    sizes = ((1, 8, 32), (2, 16, 64), (3, 33, 96), (4, 64, 128), (5, 7, 256), (1, 9, 1024))
    listed = tuple(cases("m n k", *sizes))
    op = replace(
        registry.get("matmul"),
        axes=axes("m n", k),
        constraints=constraints,
        visible=listed[:3],
        hidden=listed[3:],
    )
    drawn = [w.axes["k"] for seed in range(300) for w in unseen(op, "float16", seed)]
    assert len(drawn) == 900
    assert sum(size not in {k for _, _, k in sizes} for size in drawn) > 700
    assert all(size % 32 == 0 for size in drawn)


def test_sizes_of_an_axis_with_few_values_are_among_them() -> None:
    listed = tuple(cases("m n k", (2, 3, 64), (4, 5, 128)))
    op = replace(
        registry.get("matmul"),
        axes=axes("m n", Axis("k", values=(32, 64, 80, 128))),
        visible=listed[:1],
        hidden=listed[1:],
    )
    drawn = {w.axes["k"] for seed in range(40) for w in unseen(op, "float32", seed)}
    assert {32, 80} < drawn <= {32, 64, 80, 128}


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
    assert set(all_of_them) - set(NAMES) in ({"nan"}, {"infinite"})
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


@pytest.mark.parametrize(
    ("op", "dealt"), [("topk", True), ("logits_top_k", True), ("matmul", False)]
)
def test_what_keeps_the_k_largest_meets_all_winners_in_one_lane(op: str, dealt: bool) -> None:
    known = ((w, ("normal",)) for w in registry.get(op).workloads("hidden", "float32"))
    found = list(with_planted(registry.get(op), known, tuple(DISTRIBUTIONS)))
    assert any("planted" in names for _, names in found) == dealt
