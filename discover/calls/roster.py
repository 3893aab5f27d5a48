"""The proposers of one search: whose turn it is, and who is out. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from discover.budget.limits import Limits
from discover.budget.pricing import FREE, Price, Prices, price_of
from discover.proposers.keys import is_local
from discover.protocol import Failure, Proposer, ProposerOptions
from foundry.errors import UsageError

MAX_REPEATS_IN_ROW = 8
"""Proposals that repeat earlier kernels, one after another, before a proposer is out."""
MAX_FAILURES_IN_ROW = 3
"""Requests given up one after another before a proposer is out."""


@dataclass
class Seat:
    """A proposer and how it fares."""

    proposer: Proposer
    price: Price | None = None
    """None: unknown; its calls count as 0 dollars."""
    turns: int = 0
    """Proposals asked for."""
    out: str | None = None
    """Why it is asked no more."""
    broken: bool = False
    """Out because of a fault that someone must mend."""
    exhausted: set[int] = field(default_factory=set)
    """Parents that give it nothing new."""
    failures_in_row: int = 0
    repeats_in_row: int = 0
    rests_until_s: float = 0.0
    """Clock reading before which nothing new is asked: the server wants a pause."""

    @property
    def title(self) -> str:
        """Name and model, as people read it."""
        return " ".join(part for part in (self.proposer.name, self.proposer.model) if part)

    def gave_up(self, failure: Failure) -> None:
        """Note a request that failed for good."""
        self.failures_in_row += 1
        if failure.kind.fatal:
            self.out, self.broken = f"{self.title}: {failure.message}", True
        elif self.failures_in_row >= MAX_FAILURES_IN_ROW:
            count = self.failures_in_row
            self.out = f"{self.title}: {count} failures in a row, the last: {failure.message}"
            self.broken = True

    def repeated(self) -> None:
        """Note a proposal that repeats an earlier kernel: it costs a call and brings nothing."""
        self.repeats_in_row += 1
        if self.repeats_in_row >= MAX_REPEATS_IN_ROW and self.out is None:
            self.out = f"{self.title}: {self.repeats_in_row} proposals in a row repeat earlier ones"

    def answered(self) -> None:
        """Note an answer."""
        self.failures_in_row = 0


class Roster:
    """Takes turns fairly: whoever proposed least is next, the first named before the later ones."""

    def __init__(self, seats: Sequence[Seat]) -> None:
        self.seats = tuple(seats)

    def active(self, now_s: float) -> list[Seat]:
        """Those that may be asked now, the next first."""
        able = (s for s in self.seats if s.out is None and s.rests_until_s <= now_s)
        return sorted(able, key=lambda s: s.turns)

    def named(self, name: str) -> Seat | None:
        """The seat of a proposer, if it is here."""
        return next((seat for seat in self.seats if seat.proposer.name == name), None)


def seats_of(
    proposers: Sequence[Proposer], prices: Prices, limits: Limits, options: ProposerOptions
) -> list[Seat]:
    """A seat per proposer, with its price.

    Raises:
        UsageError: A money limit, and a model without a known price.
    """
    seats = [Seat(p, _price(p, prices, options)) for p in proposers]
    for seat in seats:
        if limits.usd is not None and seat.price is None:
            raise UsageError(
                f"no price is known for {seat.title}, so --max-cost cannot be kept; "
                "give one with --pricing FILE, or limit --max-tokens instead"
            )
    return seats


def _price(proposer: Proposer, prices: Prices, options: ProposerOptions) -> Price | None:
    if not proposer.remote or proposer.name == "replay":
        return FREE
    known = price_of(prices, proposer.model or "")
    local = options.base_url is not None and is_local(options.base_url)
    return known or (FREE if local else None)
