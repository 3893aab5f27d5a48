from __future__ import annotations

import datetime

import toy

from discover.budget.estimate import Priced, estimate
from discover.budget.limits import Limits
from discover.budget.pricing import Price
from discover.search.search import second_looks
from discover.search.session import confirmed
from discover.search.settings import SearchSettings
from foundry.chips import fitted, registry
from foundry.chips.device import device_of

DATED = Price(input=2.0, output=10.0, published=datetime.date(2026, 11, 21))


def test_what_earlier_answers_took_is_expected_and_the_bound_is_dated() -> None:
    one = Priced("anthropic m", DATED, 5000, 16_000, usual=(3000.4, 1000.0))
    (line,) = estimate([one], Limits(evaluations=54), judged=4)
    assert line == (
        "estimate: anthropic m: 50 calls, about 3,000 tokens in and 1,000 out a call, $0.80; "
        "at most $8.50 for so many, prices of 2026-11-21"
    )
    (line,) = estimate([one], Limits(evaluations=54, usd=1.25), judged=4)
    assert "never more than $1.25" in line
    (line,) = estimate([one], Limits(seconds=60), judged=4)
    assert "calls until the budget is used" in line
    assert "$0.02 a call; at most $0.17 a call" in line


def test_what_nobody_knows_is_said_to_be_unknown() -> None:
    (line,) = estimate([Priced("openai odd", None, 5000, 16_000)], Limits(evaluations=3), judged=4)
    assert line == (
        "estimate: openai odd: 0 calls, no answer of it is known yet; its price is unknown"
    )


def test_what_is_left_out_is_what_the_search_keeps_for_its_end() -> None:
    assert [second_looks(3, budget) for budget in (None, 100, 6, 4)] == [5, 5, 1, 0]
    assert second_looks(0, 100) == 0
    chip = device_of(registry.get("m4-max"), fitted.built_in(), toy.DEVICE)
    settings = SearchSettings()
    assert confirmed(settings, chip).confirm == 0
    assert confirmed(settings, toy.DEVICE) == settings
