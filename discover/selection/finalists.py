"""Which kernels are measured a second time at the end of a search. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain, zip_longest

from foundry.judge.verdict import Evaluation
from foundry.report.figures import figures


def finalists(passed: Mapping[int, Evaluation], start: int | None, count: int) -> list[int]:
    """Nodes to measure again, the most promising first.

    The best by score and the fastest by plain time take turns: a score owes as much to a slow
    moment of the baseline as to the kernel. The last place is the start's, so that the gain of the
    search is one between kernels measured at the same time.

    Args:
        passed: Evaluations of kernels that passed and were timed, by node.
        start: The node that the search began with.
        count: Places.
    """
    timed = {node: e for node, e in passed.items() if e.score is not None}
    by_score = sorted(timed, key=lambda node: (-(timed[node].score or 0.0), node))
    by_time = sorted(timed, key=lambda node: (_kernel_us(timed[node]), node))
    turns = chain.from_iterable(zip_longest(by_score, by_time))
    chosen = _distinct((node for node in turns if node is not None), count)
    if start in timed and start not in chosen and count > 1:
        chosen = [*chosen[: count - 1], start]
    return chosen


def _kernel_us(evaluation: Evaluation) -> float:
    found = figures(evaluation)
    return found.kernel_us if found else float("inf")


def _distinct(nodes: Iterable[int], count: int) -> list[int]:
    return list(dict.fromkeys(nodes))[:count]
