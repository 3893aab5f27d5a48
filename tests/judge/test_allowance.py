"""What a proof may cost: counted by processor time, kernel and oracle apart."""

from __future__ import annotations

import pytest

from foundry.errors import NoAnswer
from foundry.judge.proof.allowance import Allowance, OracleAllowance


def test_a_allowance_is_over_when_it_is_spent() -> None:
    allowed = Allowance(2.0)
    allowed.spend(1.5)
    assert not allowed.is_over
    allowed.spend(0.5)
    assert allowed.is_over
    assert not Allowance().is_over


def test_an_oracle_is_charged_with_what_it_computes_and_then_not_asked() -> None:
    oracles = OracleAllowance(0.01)
    with oracles.asked():
        sum(range(2_000_000))
    assert oracles.is_over
    with pytest.raises(NoAnswer, match="used up their time"), oracles.asked():
        pass
    before_s = oracles.left_s
    with oracles.charged():
        sum(range(200_000))
    assert oracles.left_s < before_s


def test_an_oracle_that_fails_is_charged_too() -> None:
    oracles = OracleAllowance(10.0)
    with pytest.raises(ZeroDivisionError), oracles.asked():
        sum(range(200_000)) // 0
    assert oracles.left_s < 10.0
