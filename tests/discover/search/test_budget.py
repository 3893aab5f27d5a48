from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover.budget.limits import Budget, Limits, Spend

spends = st.builds(Spend, st.integers(0, 5000), st.floats(0, 2))


@given(st.lists(st.tuples(spends, st.floats(0, 1)), max_size=40), st.integers(0, 20_000))
def test_no_order_of_calls_passes_a_limit(
    calls: list[tuple[Spend, float]], token_limit: int
) -> None:
    budget = Budget(Limits(tokens=token_limit, usd=3.0))
    flying: list[tuple[int, Spend, float]] = []
    for number, (most, share) in enumerate(calls):
        if budget.refuses(most) is None:
            budget.reserve(number, most)
            flying.append((number, most, share))
        elif flying:
            done, reserved, part = flying.pop(0)
            budget.settle(done, Spend(int(reserved.tokens * part), reserved.usd * part))
        assert budget.committed().tokens <= token_limit
        assert budget.committed().usd <= 3.0 + 1e-6


def test_a_settled_call_frees_what_it_did_not_use() -> None:
    budget = Budget(Limits(tokens=1000))
    budget.reserve(1, Spend(900))
    assert budget.refuses(Spend(200)) == "tokens: 0 of 1,000 used; a call may take 200"
    with pytest.raises(ValueError, match="over budget"):
        budget.reserve(2, Spend(200))
    budget.settle(1, Spend(100))
    assert budget.refuses(Spend(900)) is None


def test_money_that_just_fits_fits() -> None:
    budget = Budget(Limits(usd=0.3))
    for call in range(3):
        budget.reserve(call, Spend(0, 0.1))
        budget.settle(call, Spend(0, 0.1))
    assert budget.refuses(Spend(0, 0.0)) is None
    assert (
        budget.refuses(Spend(0, 0.001)) == "money: $0.3000 of $0.30 used; a call may cost $0.0010"
    )


def test_time_counts_every_session() -> None:
    budget = Budget(Limits(seconds=60), earlier_s=50, started_s=1000)
    assert budget.remaining_s(1004) == 6
    assert budget.exhausted(1004) is None
    assert budget.exhausted(1010) == "time: 60 of 60 s used"
    assert budget.remaining_s(2000) == 0


def test_evaluations_are_counted_when_they_start() -> None:
    budget = Budget(Limits(evaluations=2))
    assert budget.exhausted(0) is None
    budget.evaluations += 2
    assert budget.exhausted(0) == "evaluations: 2"


def test_a_zero_limit_stops_at_once_and_none_never() -> None:
    assert Budget(Limits(evaluations=0)).exhausted(0)
    assert Budget(Limits()).exhausted(1e9) is None
    with pytest.raises(ValueError, match="at least 0"):
        Limits(tokens=-1)


def test_a_budget_that_rests_counts_no_time() -> None:
    budget = Budget(Limits(seconds=60), started_s=None)
    assert budget.elapsed_s(1000) == 0
    budget.begin(Limits(seconds=60), 1000)
    assert budget.elapsed_s(1010) == 10
    budget.rest(1010)
    budget.rest(2000)
    assert budget.elapsed_s(5000) == 10
    budget.begin(Limits(seconds=60), 5000)
    assert budget.remaining_s(5020) == 30
