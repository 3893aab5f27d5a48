from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover.selection.tree import Node, NodeState, Tree


def add_root(tree: Tree, proposer: str, kernel_hash: str, reward: float | None) -> Node:
    node = tree.open(None, proposer)
    return tree.close(node.id, NodeState.JUDGED, kernel_hash, reward)


def grow(tree: Tree, seed: int, steps: int) -> None:
    """A random life: expansions of random states, closed in random order, some never closed."""
    rng = random.Random(seed)
    add_root(tree, "root:template", "h0", 1.0)
    for step in range(steps):
        flying = tree.in_flight()
        if flying and rng.random() < 0.5:
            end(tree, rng.choice(flying), rng, step)
        else:
            judged = [n.id for n in tree if n.state is NodeState.JUDGED]
            tree.open(rng.choice([*judged, None]), rng.choice(["mutate", "anthropic"]))


def end(tree: Tree, node: Node, rng: random.Random, step: int) -> None:
    match rng.randrange(5):
        case 0 if node.id == len(tree) - 1:
            tree.withdraw(node.id)
        case 1:
            tree.close(node.id, NodeState.FAILED)
        case 2:
            tree.close(node.id, NodeState.DUPLICATE, f"h{step}")
        case 3:
            tree.close(node.id, NodeState.JUDGED, f"h{step}", repairable=True)
        case _:
            tree.close(node.id, NodeState.JUDGED, f"h{step}", rng.uniform(0.1, 30.0))


@given(st.integers(0, 10_000), st.integers(0, 80))
def test_visits_are_the_sum_of_expansions_below(seed: int, steps: int) -> None:
    tree = Tree()
    grow(tree, seed, steps)
    for node in tree:
        below = sum(tree[child].visits for child in node.children)
        assert node.visits == node.expansions + below
    happened = [n for n in tree if not n.is_root and n.state is not NodeState.WITHDRAWN]
    assert tree.total == len(happened)
    scratch = sum(1 for n in happened if n.parent is None)
    tops = sum(n.visits for n in tree if n.parent is None)
    assert tree.total == scratch + tops


@given(st.integers(0, 10_000), st.integers(0, 80))
def test_a_restored_tree_is_the_same_tree(seed: int, steps: int) -> None:
    tree, again = Tree(), Tree()
    grow(tree, seed, steps)
    again.restore(list(tree))
    assert [vars(n) for n in again] == [vars(n) for n in tree]
    assert again.total == tree.total
    assert again.open(None, "mutate").id == tree.open(None, "mutate").id


@given(st.integers(0, 10_000))
def test_withdrawing_leaves_no_trace_in_the_counts(seed: int) -> None:
    tree = Tree()
    grow(tree, seed, 40)
    before = [(n.visits, n.expansions) for n in tree], tree.total
    judged = [n.id for n in tree if n.state is NodeState.JUDGED]
    tree.withdraw(tree.open(random.Random(seed).choice(judged), "mutate").id)
    assert ([(n.visits, n.expansions) for n in tree], tree.total) == before
    first = tree.open(None, "mutate")
    tree.open(None, "mutate")
    with pytest.raises(ValueError, match="not the newest"):
        tree.withdraw(first.id)


def test_value_is_the_best_of_a_state_and_its_children() -> None:
    tree = Tree()
    root = add_root(tree, "root:template", "a", 1.0)
    assert root.value == 1.0
    child = tree.open(root.id, "mutate")
    tree.close(child.id, NodeState.JUDGED, "b", 3.0)
    grandchild = tree.open(child.id, "mutate")
    tree.close(grandchild.id, NodeState.JUDGED, "c", 9.0)
    assert root.value == 3.0
    assert tree.best() is grandchild


def test_only_a_judged_kernel_earns_a_reward() -> None:
    tree = Tree()
    node = tree.open(None, "mutate")
    with pytest.raises(ValueError, match="earns no reward"):
        tree.close(node.id, NodeState.FAILED, reward=1.0)
    tree.close(node.id, NodeState.FAILED)
    with pytest.raises(ValueError, match="failed already"):
        tree.close(node.id, NodeState.JUDGED, "a", 1.0)
