from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover.budget import pricing
from discover.calls.retry import RetryPolicy, delay_s
from discover.protocol import Failure, FailureKind, Request
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


def test_a_users_prices_win(tmp_path: Path) -> None:
    own = tmp_path / "prices.toml"
    own.write_text('[mine]\n"claude-opus-5" = { input = 1, output = 2 }\n"m" = {input=0,output=0}')
    prices = pricing.load(own)
    assert prices["claude-opus-5"].input == 1
    assert "gpt-6-sol" in prices
    own.write_text('[mine]\n"m" = { input = -1, output = 2 }')
    with pytest.raises(UsageError, match="no price file"):
        pricing.load(own)
    with pytest.raises(UsageError, match="cannot read prices"):
        pricing.load(tmp_path / "none.toml")


@given(st.text(max_size=500), st.text(max_size=500), st.integers(1, 20_000))
def test_no_call_passes_its_bound(system: str, user: str, output: int) -> None:
    body = {"system": [{"text": system}], "messages": [{"role": "user", "content": user}]}
    most = pricing.at_most(PRICE, Request("p", "m", body, output))
    characters = len(system) + len(user)
    # No tokenizer needs more than a token for two bytes of such text, and all may be written.
    tokens = (characters + 1) // 2
    used = Tokens(tokens, output, cache_write_tokens=tokens)
    assert most.tokens >= used.input_tokens + used.output_tokens
    assert most.usd >= pricing.cost_usd(PRICE, used)
    assert pricing.at_most(None, Request("p", "m", body, output)).usd == 0


def test_back_off_doubles_to_a_cap_and_ends() -> None:
    policy = RetryPolicy(attempts=8, first_s=1, longest_s=10)
    failure = Failure(FailureKind.SERVER, "HTTP 500")
    waits = [delay_s(policy, failure, n, 0.0) for n in range(1, 9)]
    assert waits == [1, 2, 4, 8, 10, 10, 10, None]
    jittered = delay_s(policy, failure, 3, random.Random(1).random())
    assert jittered is not None
    assert 3 <= jittered <= 4


def test_a_server_is_obeyed_up_to_a_cap() -> None:
    policy = RetryPolicy(longest_retry_after_s=300)
    asked = Failure(FailureKind.RATE_LIMIT, "HTTP 429", retry_after_s=42)
    assert delay_s(policy, asked, 1, 0.5) == 42
    for_days = Failure(FailureKind.RATE_LIMIT, "HTTP 429", retry_after_s=4_294_967)
    assert delay_s(policy, for_days, 1, 0.5) == 300


@pytest.mark.parametrize("kind", [k for k in FailureKind if not k.retryable])
def test_what_waiting_cannot_mend_is_not_sent_again(kind: FailureKind) -> None:
    assert delay_s(RetryPolicy(), Failure(kind, "no", retry_after_s=1), 1, 0.0) is None
