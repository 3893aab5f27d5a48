"""PUCT over columns against its formula, and every other strategy."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover.selection.strategies import STRATEGIES, strategy
from discover.selection.strategies.puct import EQUALS, Puct, levels_of, puct_scores, rank_priors
from discover.selection.tree import Node, NodeState, Tree
from foundry.errors import UsageError

rewards = st.floats(0.001, 1e4, allow_nan=False)
outcomes = st.lists(
    st.one_of(rewards, st.sampled_from(["failure", "duplicate", "open", "dead"])), max_size=60
)
RNG = random.Random(0)


def add_root(tree: Tree, kernel_hash: str, reward: float | None) -> Node:
    node = tree.open(None, "root:template")
    return tree.close(node.id, NodeState.JUDGED, kernel_hash, reward)


def select(tree: Tree, exploration: float = 1.0, exclude: frozenset[int] = frozenset()) -> int:
    chosen = Puct(exploration).select(tree, exclude, RNG)
    assert chosen is not None
    return chosen


def end(tree: Tree, node: Node, result: float | str) -> None:
    if result == "failure":
        tree.close(node.id, NodeState.JUDGED, f"f{node.id}", repairable=True)
    elif result == "duplicate":
        tree.close(node.id, NodeState.DUPLICATE, "h")
    elif result == "dead":
        tree.close(node.id, NodeState.FAILED)
    elif result != "open":
        tree.close(node.id, NodeState.JUDGED, f"k{node.id}", float(result))


def searched(results: list[float | str], name: str = "puct") -> Tree:
    """A tree grown by a strategy itself; each result is what one expansion gave."""
    tree, chooser = Tree(), strategy(name)
    chooser.added(add_root(tree, "h", 1.0), (0, 0, 0))
    for index, result in enumerate(results):
        parent = chooser.select(tree, frozenset(), random.Random(index))
        assert parent is not None
        node = tree.open(parent, "mutate")
        end(tree, node, result)
        if node.reward is not None:
            chooser.added(node, (index % 2, 0, index % 3))
    return tree


def level(node: Node) -> int:
    return round(math.log(node.reward or 0.0) / math.log(EQUALS))


@given(outcomes, st.integers(0, 999))
def test_columns_give_what_the_formula_says(results: list[float | str], seed: int) -> None:
    tree = searched(results)
    rng = random.Random(seed)
    for node in rng.sample(list(tree), min(3, len(tree))):
        if node.reward is not None:
            tree.revalue(node.id, rng.uniform(0.1, 50))
    states = sorted((n for n in tree if n.reward is not None), key=lambda n: (-n.reward, n.id))  # type: ignore[operator]
    levels = sorted({level(n) for n in states}, reverse=True)
    count, total = len(levels), sum(1 for n in tree if not n.is_root)
    values = [n.reward or 0.0 for n in states]
    span = (max(values) - min(values)) or max(values)
    for rank, (node, score) in enumerate(
        zip(states, puct_scores(tree, 1.5, levels_of(tree.buffer)), strict=True)
    ):
        children = [tree[c].reward for c in node.children]
        q = max(r for r in [node.reward, *children] if r is not None)
        prior = (count - levels.index(level(node))) / (count * (count + 1) / 2)
        equals = [n for n in states if level(n) == level(node)]
        tried = max(node.visits, sum(n.expansions for n in equals))
        bonus = 1.5 * span * prior * math.sqrt(1 + total) / (1 + tried)
        assert score == pytest.approx(q + bonus)
        assert tree.buffer.ids[rank] == node.id


@pytest.mark.parametrize("name", STRATEGIES)
@given(results=outcomes)
def test_the_same_results_give_the_same_tree(name: str, results: list[float | str]) -> None:
    one, two = (searched(results, name) for _ in range(2))
    assert [vars(n) for n in one] == [vars(n) for n in two]
    assert one[0].visits == len(results)
    parents = [one[n.parent] for n in one if n.parent is not None]
    assert all(p.reward is not None for p in parents), "failures are repaired, not expanded"


@given(st.integers(1, 60))
def test_priors_sum_to_one_and_follow_the_rank(count: int) -> None:
    priors = rank_priors(count)
    assert priors.sum() == pytest.approx(1.0)
    assert list(priors) == sorted(priors, reverse=True)


@given(st.lists(rewards, min_size=2, max_size=8))
def test_no_state_starves_when_nothing_improves(values: list[float]) -> None:
    tree = Tree()
    for index, value in enumerate(values):
        add_root(tree, f"h{index}", value)
    for _ in range(40_000):
        tree.close(tree.open(select(tree), "mutate").id, NodeState.FAILED)
        if all(n.visits for n in tree if n.parent is None):
            return
    # The bonus of a state never tried grows with sqrt(T) while that of a tried one shrinks.
    pytest.fail(f"a state was never tried: {[n.visits for n in tree if n.parent is None]}")


@given(st.floats(0.8, 0.98), st.integers(40, 120))
def test_children_that_change_nothing_are_not_dug_along(second: float, steps: int) -> None:
    tree = Tree()
    add_root(tree, "best", 1.0), add_root(tree, "behind", second)
    for step in range(steps):
        parent = tree[select(tree)]
        node = tree.open(parent.id, "mutate")
        tree.close(node.id, NodeState.JUDGED, f"k{step}", parent.reward)
    assert tree.depth() <= math.sqrt(steps)
    assert tree[1].visits, "a state that is behind has its turn"


@given(st.integers(2, 12), st.integers(1, 80))
def test_equals_share_what_is_tried(count: int, steps: int) -> None:
    tree = Tree()
    for index in range(count):
        add_root(tree, f"h{index}", 1.0 + index / 1e4)
    for _ in range(steps):
        tree.close(tree.open(select(tree), "mutate").id, NodeState.FAILED)
    most = max(math.ceil(math.sqrt(steps)), math.ceil(steps / count))
    assert max(n.expansions for n in tree) <= most


@given(st.lists(st.floats(0.001, 0.5), min_size=1, max_size=5), st.integers(0, 99))
def test_a_kind_that_is_behind_is_worked_on(behind: list[float], seed: int) -> None:
    tree, chooser, steps = Tree(), Puct(), 200
    for index, value in enumerate([1.0, *behind]):
        chooser.added(add_root(tree, f"h{index}", value), (index, 0, 0))
    for step in range(steps):
        chosen = chooser.select(tree, (), random.Random(f"{seed} {step}"))
        tree.close(tree.open(chosen, "mutate").id, NodeState.FAILED)
    tried = [tree[index].expansions for index in range(1 + len(behind))]
    assert min(tried) >= steps // (4 * len(tried)), "the others share every other turn"
    assert tried[0] >= steps // 8, "the best keeps what it earns"


def test_of_a_kind_the_best_that_may_still_give_something_is_next() -> None:
    tree, chooser = Tree(), Puct(exploration=0.0)
    for index, (value, kind) in enumerate([(4.0, 0), (3.0, 1), (2.0, 1), (1.0, 1)]):
        chooser.added(add_root(tree, f"h{index}", value), (kind, 0, 0))
    tree.open(0, "mutate")
    assert {chooser.select(tree, {1}, random.Random(i)) for i in range(40)} == {0, 2}
    assert {chooser.select(tree, {1, 2, 3}, random.Random(i)) for i in range(40)} == {0}


@pytest.mark.parametrize("name", ["puct", "map-elites"])
@given(results=outcomes, seed=st.integers(0, 99))
def test_it_does_not_matter_in_which_order_states_are_told(
    name: str, results: list[float | str], seed: int
) -> None:
    tree = searched(results, name)
    states = [node for node in tree if node.reward is not None]
    chosen = []
    for order in (states, random.Random(seed).sample(states, len(states))):
        chooser = strategy(name)
        for node in order:
            chooser.added(node, (node.id % 3, 0, node.id % 2))
        chosen.append([chooser.select(tree, (), random.Random(i)) for i in range(20)])
    assert chosen[0] == chosen[1], "a search that was killed goes on alike"


def test_flights_spread_over_states() -> None:
    tree = Tree()
    for index in range(3):
        add_root(tree, f"h{index}", 1.0)
    chosen = []
    for _ in range(6):
        chosen.append(select(tree))
        tree.open(chosen[-1], "mutate")
    assert set(chosen) == {0, 1, 2}


def test_a_better_child_draws_the_search_to_itself() -> None:
    rng = random.Random(3)
    tree = searched([rng.uniform(0.5, 1.5) for _ in range(10)])
    node = tree.open(0, "mutate")
    tree.close(node.id, NodeState.JUDGED, "star", 20.0)
    assert select(tree) in (0, node.id)
    assert select(tree, exploration=0.0, exclude=frozenset({0})) == node.id


def test_each_strategy_starts_where_it_says() -> None:
    tree = Tree()
    chosen: dict[str, set[int | None]] = {}
    choosers = {name: strategy(name) for name in STRATEGIES}
    add_root(tree, "a", 1.0), add_root(tree, "b", 2.0)
    for parent, value in ((0, 5.0), (1, 4.0)):
        end(tree, tree.open(parent, "mutate"), value)
    for node in tree:
        for chooser in choosers.values():
            chooser.added(node, (0, 0, node.id % 2))
    for name, chooser in choosers.items():
        chosen[name] = {chooser.select(tree, (), random.Random(i)) for i in range(60)}
        assert chooser.select(tree, {0, 1, 2, 3}, RNG) is None
    assert chosen["best-of-n"] == {1}
    assert chosen["greedy"] == {2}
    assert chosen["random"] == {0, 1, 2, 3}
    assert chosen["map-elites"] == {2, 3}


def test_nothing_is_selected_where_nothing_is_eligible() -> None:
    tree = Tree()
    for name in STRATEGIES:
        assert strategy(name).select(tree, (), RNG) is None
    with pytest.raises(UsageError, match="did you mean greedy"):
        strategy("gredy")
