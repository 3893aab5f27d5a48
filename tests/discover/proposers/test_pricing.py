from __future__ import annotations

import datetime
import random
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover.budget import pricing
from discover.budget.limits import Limits
from discover.budget.pricing import FREE
from discover.calls.absence import Absence
from discover.calls.bandit import in_turn
from discover.calls.retry import RetryPolicy, pause_s
from discover.calls.roster import seats_of
from discover.calls.seat import Seat
from discover.proposers.registry import proposers_of
from discover.protocol import Failure, FailureKind, Proposer, ProposerOptions, Request
from foundry.errors import UsageError
from foundry.store.records import Tokens

PRICE = pricing.Price(input=2.0, output=10.0, cache_read=0.2, cache_write=2.5)


def test_cached_tokens_are_paid_once_and_at_their_own_price() -> None:
    usage = Tokens(1_000_000, 100_000, cache_read_tokens=600_000, cache_write_tokens=100_000)
    assert pricing.cost_usd(PRICE, usage) == pytest.approx(0.3 * 2 + 0.6 * 0.2 + 0.1 * 2.5 + 1.0)
    plain = pricing.Price(input=2.0, output=10.0)
    assert pricing.cost_usd(plain, usage) == pytest.approx(2.0 + 1.0)


def test_shipped_prices_cover_the_default_models() -> None:
    from discover.proposers import anthropic, openai

    prices = pricing.load()
    for model in (anthropic.DEFAULT_MODEL, openai.DEFAULT_MODEL):
        assert pricing.price_of(prices, model)
    dated = pricing.price_of(prices, "claude-opus-4-5-20251101")
    assert dated == prices["claude-opus-4-5"]
    assert pricing.price_of(prices, "llama3:8b") is None
    assert all(isinstance(price.published, datetime.date) for price in prices.values())


@pytest.mark.parametrize(
    ("variable", "proposer"),
    [("OPENAI_BASE_URL", "openai-chat:llama3"), ("ANTHROPIC_BASE_URL", "anthropic:local")],
)
def test_a_server_on_this_machine_is_free_however_its_address_is_given(
    variable: str, proposer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "http://127.0.0.1:11434/v1")
    options = ProposerOptions()
    with proposers_of((proposer,), options) as made:
        (seat,) = seats_of(made, {}, Limits(usd=1.0), options)
        assert seat.price is pricing.FREE
    monkeypatch.setenv(variable, "https://models.example/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "some-key")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "some-key")
    with proposers_of((proposer,), options) as made, pytest.raises(UsageError, match="no price"):
        seats_of(made, {}, Limits(usd=1.0), options)


def test_a_users_prices_win(tmp_path: Path) -> None:
    own = tmp_path / "prices.toml"
    own.write_text('[mine]\n"claude-opus-5" = { input = 1, output = 2 }\n"m" = {input=0,output=0}')
    prices = pricing.load(own)
    assert prices["claude-opus-5"].input == 1
    assert "gpt-6-sol" in prices
    for none in ("-1", "inf", "nan"):
        own.write_text(f'[mine]\n"m" = {{ input = {none}, output = 2 }}')
        with pytest.raises(UsageError, match="no price file"):
            pricing.load(own)
    with pytest.raises(UsageError, match="cannot read prices"):
        pricing.load(tmp_path / "none.toml")


@given(st.text(max_size=500), st.text(max_size=500), st.integers(1, 20_000))
def test_no_call_passes_its_bound(system: str, user: str, output: int) -> None:
    body = {"system": [{"text": system}], "messages": [{"role": "user", "content": user}]}
    size = pricing.size_bytes(Request("p", "m", body, output))
    most = pricing.at_most(PRICE, pricing.most_input_tokens(size), output)
    characters = len(system) + len(user)
    # No tokenizer needs more than a token for two bytes of such text, and all may be written.
    tokens = (characters + 1) // 2
    used = Tokens(tokens, output, cache_write_tokens=tokens)
    assert most.tokens >= used.input_tokens + used.output_tokens
    assert most.usd >= pricing.cost_usd(PRICE, used)
    assert pricing.at_most(None, tokens, output).usd == 0


def test_back_off_doubles_to_an_hour() -> None:
    failure = Failure(FailureKind.SERVER, "HTTP 500")
    waits = [pause_s(RetryPolicy(), failure, n, 0.0) for n in (1, 2, 3, 4, 12, 13, 14, 4000)]
    assert waits == [1, 2, 4, 8, 2048, 3600, 3600, 3600]
    assert 3 <= pause_s(RetryPolicy(), failure, 3, random.Random(1).random()) <= 4


def test_a_server_is_obeyed_up_to_a_cap() -> None:
    asked = Failure(FailureKind.RATE_LIMIT, "HTTP 429", retry_after_s=42)
    assert pause_s(RetryPolicy(), asked, 1, 0.5) == 42
    for_days = Failure(FailureKind.RATE_LIMIT, "HTTP 429", retry_after_s=4_294_967)
    assert pause_s(RetryPolicy(), for_days, 1, 0.5) == 3600


def test_a_server_that_asks_for_no_wait_at_all_is_waited_for_all_the_same() -> None:
    asked = Failure(FailureKind.RATE_LIMIT, "at once", retry_after_s=0.0)
    waits = [pause_s(RetryPolicy(), asked, setbacks, 0.0) for setbacks in (1, 3, 5, 20)]
    assert waits == [1.0, 4.0, 16.0, 60.0]


def test_answers_of_earlier_sessions_tell_what_one_costs() -> None:
    dear, cheap = (Seat(cast(Proposer, None), price) for price in (PRICE, FREE))
    for seat in (dear, cheap):
        seat.turns, seat.gains = 10, 5
        for _ in range(10):
            seat.remember(Tokens(2000, 3000))
    assert dear.spent_usd > 0.3
    assert in_turn([dear, cheap], Limits(usd=1.0)) == [cheap, dear]


def test_calls_that_fail_together_are_one_setback() -> None:
    absence, failure = Absence(), Failure(FailureKind.OVERLOADED, "HTTP 529")
    together = [absence.setback(RetryPolicy(), failure, 0.0, 10.0 + n, 0.0) for n in range(5)]
    assert together == [1.0] * 5
    assert absence.setback(RetryPolicy(), failure, 20.0, 21.0, 0.0) == 2.0
    absence.over(40.0)
    assert absence.total_s(99.0) == 30.0
    assert absence.setback(RetryPolicy(), failure, 50.0, 60.0, 0.0) == 1.0
    assert absence.total_s(65.0) == 35.0


@given(st.integers(0, 60_000), st.integers(256, 20_000), st.integers(0, 10_000), st.floats(0, 1))
def test_an_answer_as_long_as_its_room_still_fits(
    inputs: int, wanted: int, tokens: int, usd: float
) -> None:
    room = pricing.output_room(PRICE, inputs, tokens, usd)
    assert room is not None
    if room >= 0:
        most = pricing.at_most(PRICE, inputs, min(room, wanted))
        assert most.tokens <= tokens
        assert most.usd <= usd + 1e-9
    assert pricing.output_room(PRICE, inputs, None, None) is None


def test_a_seat_learns_what_its_prompts_cost() -> None:
    seat = Seat(cast(Proposer, None), PRICE)
    unknown = seat.input_bound(8000)
    assert unknown >= 4000
    seat.answered(Tokens(2000, 300), 8000, took_s=12.0, now_s=0.0)
    assert 2000 <= seat.input_bound(8000) < unknown
    assert 5000 <= seat.input_bound(16_000) < unknown * 2
    assert seat.expected_s == 12.0
    assert seat.usual_output == 315
