"""The proposers of one search: whose turn it is, and when one comes back. No I/O."""

from __future__ import annotations

from collections.abc import Sequence

from discover.budget.limits import Limits
from discover.budget.pricing import FREE, Price, Prices, price_of
from discover.calls.bandit import in_turn
from discover.calls.seat import Seat
from discover.proposers.keys import address, is_local
from discover.protocol import Proposer, ProposerOptions
from foundry.errors import UsageError


class Roster:
    """Gives turns to whoever brings most for its cost, and to those of whom too little is known."""

    def __init__(self, seats: Sequence[Seat], limits: Limits | None = None) -> None:
        self.seats = tuple(seats)
        self._limits = limits or Limits()

    def allow(self, limits: Limits) -> None:
        """Go on within these limits: whom the old ones had no room for is asked again."""
        self._limits = limits
        for seat in self.seats:
            if seat.unaffordable:
                seat.out, seat.unaffordable = None, False

    def active(self, now_s: float) -> list[Seat]:
        """Those that may be asked now, the next first."""
        return in_turn([s for s in self.seats if s.may_ask(now_s)], self._limits)

    def named(self, name: str) -> Seat | None:
        """The seat of a proposer, if it is here."""
        return next((seat for seat in self.seats if seat.proposer.name == name), None)

    def of_model(self, name: str, model: str) -> Seat | None:
        """The seat of a proposer with a model, if it is here."""
        found = (
            s for s in self.seats if (s.proposer.name, s.proposer.model or "") == (name, model)
        )
        return next(found, None)

    def returns_in_s(self, now_s: float) -> float | None:
        """Seconds until the next one may be asked again; None when none rests.

        One that is parked is not waited for: nothing but a person brings it back.
        """
        rests = [s.rests_until_s - now_s for s in self.seats if s.out is None and not s.parked]
        return min((rest for rest in rests if rest > 0), default=None)

    def outs(self) -> list[str]:
        """Why those that are out or parked are so, each reason once."""
        found = (s.out or (f"{s.title}: {s.parked}" if s.parked else "") for s in self.seats)
        return list(dict.fromkeys(filter(None, found)))

    def broken(self) -> str | None:
        """What must be mended before anybody can propose again, or None."""
        faults = [s for s in self.seats if s.parked or (s.out and s.broken)]
        return "; ".join(self.outs()) if len(faults) == len(self.seats) else None

    def fails_everywhere(self) -> bool:
        """Whether what broke every proposer would meet the search of another op as well."""
        return all(s.parked or (s.broken and not s.refusing) for s in self.seats)

    def away(self, now_s: float) -> tuple[str, ...]:
        """Who does not answer now, and why."""
        return tuple(
            f"{s.title} ({s.parked or s.absence.why})"
            for s in self.seats
            if s.out is None and (s.parked or s.absence.since_s is not None)
        )

    def absences(self, now_s: float) -> dict[str, float]:
        """Seconds for which each proposer was away, those that never were left out."""
        total = {seat.title: seat.absence.total_s(now_s) for seat in self.seats}
        return {title: seconds for title, seconds in total.items() if seconds > 0}


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
    server = address(proposer.name, options)
    return known or (FREE if server is not None and is_local(server) else None)
