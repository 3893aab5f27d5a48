"""Which proposer is asked next: whoever brings most for what it costs. Pure.

An upper confidence bound of the share of proposals that beat their parent, over the cost of one.
Cost is what a proposal takes of the scarcest things: the sum of its shares of every limit that is
set, so that dollars, tokens and evaluations need no exchange rate. It counts by its square root:
a limit that nobody uses is worth nothing in the morning.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from discover.budget.limits import Limits
from discover.calls.seat import Seat

_BOLDNESS = 0.5
"""Weight of what is not known yet against what is."""
_LEAST = 1e-3
"""Nothing is free: to judge a proposal takes time. Whoever costs less is no cheaper than this."""


def in_turn(seats: Sequence[Seat], limits: Limits) -> list[Seat]:
    """Seats in the order in which they should be asked; untried ones come first, as named."""
    turns = sum(seat.turns for seat in seats)
    return sorted(seats, key=lambda seat: -_index(seat, limits, turns))


def _index(seat: Seat, limits: Limits, turns: int) -> float:
    if seat.turns == 0:
        return math.inf
    # Proposals in flight count as tried and not as won: several at once go to several seats.
    mean = seat.gains / seat.turns
    bonus = _BOLDNESS * math.sqrt(2 * math.log(1 + turns) / seat.turns)
    return (mean + bonus) / math.sqrt(_cost(seat, limits))


def _cost(seat: Seat, limits: Limits) -> float:
    """Shares of the limits that one proposal takes, added up, `_LEAST` at least; 1 without limits.

    The shares of a free proposer add up to nothing where only money is limited.
    """
    answers = max(1, seat.answers + seat.earlier_answers)
    each = seat.spent_tokens / answers, seat.spent_usd / answers
    shares = [1 / limits.evaluations] if limits.evaluations else []
    shares += [each[0] / limits.tokens] if limits.tokens else []
    shares += [each[1] / limits.usd] if limits.usd else []
    return max(sum(shares), _LEAST) if shares else 1.0
