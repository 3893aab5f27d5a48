"""What a proof may cost: processor time of the kernel, and processor time of the oracle.

They are counted apart, so that a slow oracle leaves no kernel unproven that is fast. A busy machine
makes them little more: what waits is charged a quarter of its time. What is known of an earlier
kernel costs nothing, so that a later one may be proven on more sizes than the first.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from foundry.errors import NoAnswer
from foundry.harness.processes.clock import Clock


@dataclass
class Allowance:
    """Seconds of processor time that may still be spent."""

    left_s: float = math.inf

    @property
    def is_over(self) -> bool:
        """Whether nothing is left."""
        return self.left_s <= 0.0

    def spend(self, seconds: float) -> None:
        """Take off what something took."""
        self.left_s -= seconds


class OracleAllowance(Allowance):
    """What oracles may take together."""

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Take off what a question costs that need not be asked.

        Raises:
            NoAnswer: Nothing is left.
        """
        if self.is_over:
            raise NoAnswer(
                "oracles have used up their time on sizes beyond the lists.",
                "Write them without a loop in Python, or give them more.",
            )
        with self.charged():
            yield

    @contextmanager
    def charged(self) -> Iterator[None]:
        """Take off what this thread computes; of waiting, as for a baseline, a quarter."""
        clock = Clock(time.thread_time)
        try:
            yield
        finally:
            self.spend(clock())


@dataclass(frozen=True)
class Allowances:
    """Both, for a part of a proof; without an end where none is given."""

    kernel: Allowance = field(default_factory=Allowance)
    """For builds and runs."""
    oracles: OracleAllowance = field(default_factory=OracleAllowance)
