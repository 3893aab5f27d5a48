"""What a search shows while it runs."""

from __future__ import annotations

from typing import cast

import pytest

from discover.budget.limits import Limits, Spend
from discover.cli.display import SearchDisplay
from discover.search.watch import State
from foundry.report.display import Display
from foundry.report.progress import Progress


@pytest.mark.parametrize(
    ("spent", "at_most", "shown"),
    [(0.0, 0.0, None), (0.0, 0.3, 0.0), (0.2, 0.3, 0.2)],
    ids=["offline", "unsure", "paid"],
)
def test_dollars_are_shown_where_any_may_be_spent(
    spent: float, at_most: float, shown: float | None
) -> None:
    drawn: list[Progress] = []

    class Kept:
        def update(self, progress: Progress) -> None:
            drawn.append(progress)

    display = SearchDisplay(cast(Display, Kept()), ("silu float32",), Limits())
    display.changed(
        State(
            "silu float32", 1, Limits(), Spend(0, spent), Spend(0, at_most), 1.0, {}, None, depth=0
        )
    )
    assert drawn[-1].cost_usd == shown


def test_the_rate_counts_what_this_session_did() -> None:
    drawn: list[Progress] = []

    class Kept:
        def update(self, progress: Progress) -> None:
            drawn.append(progress)

    limits = Limits(evaluations=80)
    names = ("silu float32", "softmax float32")
    display = SearchDisplay(cast(Display, Kept()), names, limits)
    for name, evaluations, earlier in ((names[0], 30, 25), (names[1], 4, 0)):
        state = State(
            name, evaluations, limits, Spend(), Spend(), 1.0, {}, None, depth=0, earlier=earlier
        )
        display.changed(state)
    assert (drawn[-1].done, drawn[-1].budget, drawn[-1].fresh) == (34, 80, 9)


def test_the_time_left_is_what_earlier_sessions_left() -> None:
    drawn: list[Progress] = []

    class Kept:
        def update(self, progress: Progress) -> None:
            drawn.append(progress)

    limits = Limits(seconds=8 * 3600.0)
    display = SearchDisplay(cast(Display, Kept()), ("silu float32",), limits)
    elapsed_s = 6 * 3600.0 + 30
    display.changed(
        State(
            "silu float32", 9, limits, Spend(), Spend(), elapsed_s, {}, None, depth=0,
            earlier_s=6 * 3600.0,
        )
    )  # fmt: skip
    assert drawn[-1].time_budget_s == 2 * 3600.0
