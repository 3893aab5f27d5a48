"""What is on its way when a search ends early: answers are paid, so they are waited for and kept.

The next session judges them; a call whose answer nobody took in would be made, and paid, again.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from discover.calls.flights import Flights, Landed
from discover.calls.sending import Calls
from discover.search.intake import Intake, Key
from discover.search.watch import Watch
from foundry.errors import first_line
from foundry.report.format import count

_POLL_S = 0.5


@dataclass(frozen=True)
class Parting:
    """Ends one search early."""

    flights: Flights[Key]
    calls: Calls
    intake: Intake
    watch: Watch
    land: Callable[[Landed[Key]], object]
    """Takes in what landed well."""
    tell: Callable[[], None]
    """Says how things stand."""

    def leave(self) -> None:
        """Wait for the answers on their way.

        Raises:
            KeyboardInterrupt: In the end; at once when it is asked for again.
            BaseException: What a call raised, which is a fault of ours.
        """
        self._announce("", "Ctrl-C again")
        self._take(lambda: False)
        raise KeyboardInterrupt

    def salvage(self, error: BaseException, enough: Callable[[], bool]) -> None:
        """Keep what a fault would lose: what landed beside it, and the answers on their way.

        The fault is on its way out, and whatever fails here is its doing as well.

        Args:
            error: The fault.
            enough: Whether to wait no longer.
        """
        if not isinstance(error, Exception):
            return
        with suppress(Exception):
            if not enough():
                self._announce(f"{first_line(error)} ", "Ctrl-C")
            self._take(enough)
            while (landed := self.flights.next(0.0)) is not None:
                if landed.error is None:
                    self.land(landed)

    def _announce(self, why: str, keys: str) -> None:
        if due := self._due():
            answers = count(due, "answer")
            self.watch.event(f"{why}waiting for {answers} on the way; {keys} leaves at once")

    def _due(self) -> int:
        under_way = self.flights.keys()
        return sum(what == "call" for what, _ in under_way)

    def _take(self, enough: Callable[[], bool]) -> None:
        """Take in what lands until no answer is on its way, or it was enough."""
        while self._due() and not enough():
            for node, failure in self.calls.overdue():
                self.intake.fail(node, failure.message)
            landed = self.flights.next(_POLL_S)
            if landed is not None and landed.error is None:
                self.land(landed)
            elif landed is not None and landed.key[0] == "call":
                # A judge that Ctrl-C hit too costs nothing: what it held is judged by the next
                # session.
                assert landed.error is not None
                raise landed.error
            self.tell()
