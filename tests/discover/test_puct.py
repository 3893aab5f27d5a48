from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover.selection.puct import (
    MAX_REPAIRS,
    eligible,
    puct_scores,
    rank_priors,
    reward_range,
    select,
)
from discover.selection.tree import Node, NodeState, Tree

rewards = st.floats(0.001, 1e4, allow_nan=False)
outcomes = st.lists(
    st.one_of(rewards, st.sampled_from(["failure", "duplicate", "open", "dead"])), max_size=60
)


def add_root(
    tree: Tree, proposer: str, kernel_hash: str, reward: float | None, *, repairable: bool = False
) -> Node:
    node = tree.open(None, proposer)
    return tree.close(node.id, NodeState.JUDGED, kernel_hash, reward, repairable=repairable)


def searched(results: list[float | str], *, may_repair: bool = False) -> Tree:
    """A tree grown by `select` itself; each result is what one expansion gave."""
    tree = Tree()
    add_root(tree, "root:template", "h", 1.0)
    for index, result in enumerate(results):
        parent = select(tree, may_repair=may_repair)
        assert parent is not None
        node = tree.open(parent.id, "mutate")
        if result == "failure":
            tree.close(node.id, NodeState.JUDGED, f"f{index}", repairable=True)
        elif result == "duplicate":
            tree.close(node.id, NodeState.DUPLICATE, "h")
        elif result == "dead":
            tree.close(node.id, NodeState.FAILED)
        elif result != "open":
            tree.close(node.id, NodeState.JUDGED, f"k{index}", float(result))
    return tree


@given(outcomes, st.booleans())
def test_the_visits_of_a_search_sum_to_its_expansions(
    results: list[float | str], may_repair: bool
) -> None:
    tree = searched(results, may_repair=may_repair)
    assert tree.total == len(results)
    assert tree[0].visits == len(results)
    assert sum(n.expansions for n in tree) == len(results)


@given(outcomes)
def test_scores_lie_between_value_and_value_plus_the_widest_bonus(
    results: list[float | str],
) -> None:
    tree = searched(results)
    states = eligible(tree, may_repair=False)
    _, span = reward_range(states)
    for node_id, score in puct_scores(tree, exploration=1.5).items():
        value = tree.value(tree[node_id])
        assert value is not None
        assert value < score <= value + 1.5 * span * math.sqrt(1 + tree.total) + 1e-9


@given(outcomes)
def test_failures_are_parents_only_of_a_proposer_that_repairs(results: list[float | str]) -> None:
    tree = searched(results)
    assert all(n.reward is not None for n in eligible(tree, may_repair=False))
    for node in eligible(tree, may_repair=True):
        assert node.reward is not None or (node.repairable and node.expansions < MAX_REPAIRS)


@given(outcomes, st.booleans())
def test_the_same_results_give_the_same_tree(results: list[float | str], may_repair: bool) -> None:
    one, two = (searched(results, may_repair=may_repair) for _ in range(2))
    assert [vars(n) for n in one] == [vars(n) for n in two]
    assert select(one, may_repair=may_repair) is not None


@given(st.lists(rewards, min_size=1, max_size=30))
def test_priors_sum_to_one_and_follow_the_rank(values: list[float]) -> None:
    tree = Tree()
    for index, value in enumerate(values):
        add_root(tree, "root:store", f"h{index}", value)
    priors = rank_priors(list(tree))
    assert sum(priors.values()) == pytest.approx(1.0)
    ranked = sorted(tree, key=lambda n: (-(n.reward or 0), n.id))
    shares = [priors[n.id] for n in ranked]
    assert shares == sorted(shares, reverse=True)


@given(st.lists(rewards, min_size=2, max_size=8), st.integers(0, 999))
def test_no_state_starves_when_nothing_improves(values: list[float], seed: int) -> None:
    tree = Tree()
    for index, value in enumerate(values):
        add_root(tree, "root:store", f"h{index}", value)
    for _ in range(40_000):
        parent = select(tree)
        assert parent is not None
        tree.close(tree.open(parent.id, "mutate").id, NodeState.FAILED)
        if all(n.visits for n in tree if n.parent is None):
            return
    # The bonus of a state never tried grows with sqrt(T) while that of a tried one shrinks.
    pytest.fail(f"a state was never tried: {[n.visits for n in tree if n.parent is None]}")


def test_flights_spread_over_states() -> None:
    tree = Tree()
    for index in range(3):
        add_root(tree, "root:template", f"h{index}", 1.0)
    chosen = []
    for _ in range(6):
        parent = select(tree)
        assert parent is not None
        chosen.append(parent.id)
        tree.open(parent.id, "mutate")
    assert set(chosen) == {0, 1, 2}


def test_a_better_child_draws_the_search_to_itself() -> None:
    rng = random.Random(3)
    tree = searched([rng.uniform(0.5, 1.5) for _ in range(10)])
    node = tree.open(tree[0].id, "mutate")
    tree.close(node.id, NodeState.JUDGED, "star", 20.0)
    assert select(tree) in (tree[0], node)
    assert select(tree, exploration=0.0, exclude={0}) is node


def test_nothing_is_selected_where_nothing_is_eligible() -> None:
    tree = Tree()
    assert select(tree) is None
    root = add_root(tree, "root:template", "h", None, repairable=True)
    assert select(tree) is None
    assert select(tree, may_repair=True) is root
    assert select(tree, may_repair=True, exclude={root.id}) is None
