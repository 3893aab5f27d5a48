"""What a search will cost, before it starts: expected and at most. Pure.

What is expected comes from earlier answers of the same model in the same database. Without any,
only the bound is known, and that is what is said. A price that nobody knows stays unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from discover.budget.limits import Limits
from discover.budget.pricing import Price, at_most
from foundry.report.format import count


@dataclass(frozen=True)
class Priced:
    """One proposer that costs something, as far as it is known before it is asked."""

    title: str
    price: Price | None
    most_input_tokens: int
    """Bound of its first prompt."""
    max_output_tokens: int
    usual: tuple[float, float] | None = None
    """Mean tokens in and out of its earlier answers; None without any."""


def estimate(asked: Sequence[Priced], limits: Limits, judged: int) -> list[str]:
    """One line per proposer that costs something.

    Args:
        asked: Who.
        limits: What the search may use.
        judged: Evaluations that ask nobody: roots and second looks.
    """
    calls = None if limits.evaluations is None else max(0, limits.evaluations - judged)
    return [_line(one, limits, None if calls is None else -(-calls // len(asked))) for one in asked]


def _line(one: Priced, limits: Limits, calls: int | None) -> str:
    most = at_most(one.price, one.most_input_tokens, one.max_output_tokens)
    if one.usual is None:
        expected = "no answer of it is known yet"
    else:
        tokens_in, tokens_out = (round(value) for value in one.usual)
        expected = f"about {tokens_in:,} tokens in and {tokens_out:,} out a call"
        if one.price is not None:
            usd = at_most(one.price, tokens_in, tokens_out).usd
            expected += f", ${usd * (calls or 1):.2f}" + ("" if calls else " a call")
    number = count(calls, "call") if calls is not None else "calls until the budget is used"
    return f"estimate: {one.title}: {number}, {expected}; {_bound(one, most.usd, limits, calls)}"


def _bound(one: Priced, usd: float, limits: Limits, calls: int | None) -> str:
    if one.price is None:
        return "its price is unknown"
    total = None if calls is None else usd * calls
    if limits.usd is not None and (total is None or limits.usd <= total):
        bound = f"never more than ${limits.usd:.2f}"
    elif total is not None:
        # Repetitions and refusals are paid and are no evaluations: there may be more calls.
        bound = f"at most ${total:.2f} for so many"
    else:
        bound = f"at most ${usd:.2f} for the first call; later ones hold a parent and lessons too"
    dated = f", prices of {one.price.published}" if one.price.published else ""
    return bound + dated
