"""How far the search of one op has come: what decides which op is searched next, and for how long.

It comes from the database where an earlier session searched, and from the search itself while it is
open: what was read or counted once is not read again.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from discover.budget.limits import Limits, Spend
from discover.search.watch import State
from discover.selection.tree import NodeState
from foundry.judge.verdict import Evaluation

if TYPE_CHECKING:
    from discover.history.summary import Summary
    from discover.search.task import Outcome

SLICE = 20
"""Evaluations that an op gets at a time."""
_AT_ROOFLINE = 1.25
_FLAT = 1.01


@dataclass(frozen=True)
class Standing:
    """The search of one op in one dtype, so far."""

    op: str
    dtype: str
    evaluations: int = 0
    elapsed_s: float = 0.0
    at_most: Spend = Spend()
    """What its calls used, and what those without an answer used at most."""
    above_floor: float | None = None
    """Times its floor that the best kernel takes, where it has most left; None: not known."""
    best: tuple[float, ...] = ()
    """The best reward so far, after each judged kernel."""
    untimed: bool = False
    """Whether kernels passed and none of them could be timed, or its time be predicted."""

    @property
    def name(self) -> str:
        """`softmax float32`."""
        return f"{self.op} {self.dtype}"

    @property
    def done(self) -> str:
        """Why it is searched no further; empty where it is."""
        if self.above_floor is not None and self.above_floor <= _AT_ROOFLINE:
            return "it is at its roofline"
        if self.untimed:
            return "its shapes are too small to be timed here"
        before = self.best[: -2 * SLICE]
        if before and self.best[-1] <= _FLAT * before[-1]:
            return f"the last {2 * SLICE} kernels brought nothing"
        return ""


def stored(summary: Summary) -> Standing:
    """Of a search in the database."""
    spending = summary.spending
    tokens = spending.input_tokens + spending.output_tokens + spending.unsure_tokens
    rewards = [n.reward for n in summary.nodes if n.state == NodeState.JUDGED]
    return Standing(
        summary.op,
        summary.dtype,
        summary.evaluations,
        summary.elapsed_s,
        Spend(tokens, spending.usd_at_most),
        above_floor(summary.best.evaluation if summary.best else None),
        _best(rewards),
        _untimed(rewards),
    )


def state_of(summary: Summary) -> State:
    """What a display shows of a search of an earlier session."""
    spending = summary.spending
    spent = Spend(spending.input_tokens + spending.output_tokens, spending.usd)
    return State(
        name=f"{summary.op} {summary.dtype}",
        evaluations=summary.evaluations,
        limits=Limits(),
        spent=spent,
        at_most=spent + Spend(spending.unsure_tokens, spending.unsure_usd),
        elapsed_s=summary.elapsed_s,
        statuses=summary.statuses,
        best=summary.best.evaluation if summary.best else None,
        depth=0,
        earlier=summary.evaluations,
        earlier_s=summary.elapsed_s,
    )


def reached(name: str, outcome: Outcome, rewards: Sequence[float | None]) -> Standing:
    """Of a search that rests.

    Args:
        name: `softmax float32`.
        outcome: How it ended when it went on last.
        rewards: What its kernels earned, in order; None for a failure.
    """
    op, dtype = name.split()
    state, best = outcome.state, outcome.best
    return Standing(
        op,
        dtype,
        state.evaluations,
        state.elapsed_s,
        state.at_most,
        above_floor(best.evaluation if best else None),
        _best(rewards),
        _untimed(rewards),
    )


def above_floor(evaluation: Evaluation | None) -> float | None:
    """Times its floor that a kernel takes, on the workload where it has most left."""
    timings = evaluation.timings if evaluation else ()
    return max((t.kernel_us / t.floor_us for t in timings if t.floor_us), default=None)


def _best(rewards: Sequence[float | None]) -> tuple[float, ...]:
    return tuple(itertools.accumulate((reward or 0.0 for reward in rewards), max))


def _untimed(rewards: Sequence[float | None]) -> bool:
    passed = [reward for reward in rewards if reward is not None]
    return bool(passed) and not any(passed)
