"""The proposers of one search: whose turn it is, and who is out. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from discover.budget.pricing import Price
from discover.protocol import Failure, Proposer

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
