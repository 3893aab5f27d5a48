"""Hard limits of a search: evaluations, wall time, tokens, money. Pure: time is handed in.

A limit is never passed, not even by work in flight: what an LLM call may cost at most is reserved
before it is sent. A reservation that does not fit *now* waits for those in flight, since most of
each comes back. What a call did cost replaces its reservation when it ends; where nobody knows, the
reservation stays as what it may have cost at most, and is never called spent.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field


@dataclass(frozen=True)
class Limits:
    """What a search may use; None is no limit. A recipe gives them as a table."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)

    evaluations: Annotated[int | None, Field(ge=1)] = None
    seconds: Annotated[float | None, Field(gt=0)] = None
    tokens: Annotated[int | None, Field(ge=0)] = None
    """Input and output tokens together, cached ones included."""
    usd: Annotated[float | None, Field(ge=0)] = None

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if value is not None and value < 0:
                raise ValueError(f"budget {f.name} is {value}; it is at least 0")


@dataclass(frozen=True)
class Spend:
    """What calls used, or may use at most."""

    tokens: int = 0
    usd: float = 0.0

    def __add__(self, other: Spend) -> Spend:
        return Spend(self.tokens + other.tokens, self.usd + other.usd)


class Fit(Enum):
    """Whether a call fits a budget."""

    NOW = "now"
    LATER = "later"
    """Once calls in flight give back what they do not use."""
    NEVER = "never"


@dataclass
class Budget:
    """Limits, what is used, and what is reserved by calls in flight."""

    limits: Limits
    evaluations: int = 0
    """Judged, or being judged."""
    spent: Spend = field(default_factory=Spend)
    unsure: Spend = field(default_factory=Spend)
    """What calls without an answer may have cost at most."""
    earlier_s: float = 0.0
    """Active seconds of the sessions before this one."""
    kept_s: float = 0.0
    """Seconds at the end in which nothing new starts: the second looks take them."""
    started_s: float | None = 0.0
    """Clock reading at the start of this session; None while it rests."""
    _reserved: dict[int, Spend] = field(default_factory=dict)

    def begin(self, limits: Limits, now_s: float) -> None:
        """Go on within these limits, from this reading of the clock."""
        self.limits, self.started_s = limits, now_s

    def rest(self, now_s: float) -> None:
        """Count no time until `begin`."""
        self.earlier_s, self.started_s = self.elapsed_s(now_s), None

    def elapsed_s(self, now_s: float) -> float:
        """Active seconds of all sessions."""
        return self.earlier_s + (0.0 if self.started_s is None else now_s - self.started_s)

    def remaining_s(self, now_s: float) -> float | None:
        """Seconds left, at least 0; None without a limit."""
        if self.limits.seconds is None:
            return None
        return max(0.0, self.limits.seconds - self.elapsed_s(now_s))

    def working_s(self, now_s: float) -> float | None:
        """Seconds left for what is new, at least 0; None without a limit."""
        left_s = self.remaining_s(now_s)
        return None if left_s is None else max(0.0, left_s - self.kept_s)

    def exhausted(self, now_s: float) -> str | None:
        """Why nothing new may start, or None."""
        if self.remaining_s(now_s) == 0:
            return f"time: {self.elapsed_s(now_s):.0f} of {self.limits.seconds:g} s used"
        if self.limits.evaluations is not None and self.evaluations >= self.limits.evaluations:
            return f"evaluations: {self.limits.evaluations}"
        return None

    def fit(self, most: Spend) -> Fit:
        """Whether a call that may use `most` may be sent."""
        if self._within(self.committed() + most):
            return Fit.NOW
        return Fit.LATER if self._within(self.at_most() + most) else Fit.NEVER

    def refuses(self, most: Spend) -> str | None:
        """Why a call that may use `most` must not be sent now, or None."""
        if self.fit(most) is Fit.NOW:
            return None
        unsure = f", at most {self.unsure.tokens:,} more" if self.unsure.tokens else ""
        limits, total = self.limits, self.committed() + most
        if limits.tokens is not None and total.tokens > limits.tokens:
            used = f"tokens: {self.spent.tokens:,} of {limits.tokens:,} used{unsure}"
            return f"{used}; a call may take {most.tokens:,}"
        unsure = f", at most ${self.unsure.usd:.4f} more" if self.unsure.usd else ""
        used = f"money: ${self.spent.usd:.4f} of ${limits.usd:.2f} used{unsure}"
        return f"{used}; a call may cost ${most.usd:.4f}"

    def committed(self) -> Spend:
        """What is used at most, calls in flight included."""
        return sum(self._reserved.values(), self.at_most())

    def at_most(self) -> Spend:
        """What ended calls used at most."""
        return self.spent + self.unsure

    def left(self) -> tuple[int | None, float | None]:
        """Tokens and dollars that nothing has used or reserved; None without such a limit."""
        used, limits = self.committed(), self.limits
        return (
            None if limits.tokens is None else max(0, limits.tokens - used.tokens),
            None if limits.usd is None else max(0.0, limits.usd - used.usd),
        )

    def _within(self, total: Spend) -> bool:
        tokens, usd = self.limits.tokens, self.limits.usd
        # Sums of cents are not exact in binary; a limit that just fits must fit.
        return (tokens is None or total.tokens <= tokens) and (
            usd is None or total.usd <= usd + 1e-9
        )

    def reserve(self, call: int, most: Spend) -> None:
        """Set aside what a call may use at most; it must not be refused.

        Raises:
            ValueError: The reservation does not fit.
        """
        if reason := self.refuses(most):
            raise ValueError(f"over budget: {reason}")
        self._reserved[call] = most

    def settle(self, call: int, used: Spend) -> None:
        """Replace a reservation by what the call used."""
        self._reserved.pop(call, None)
        self.spent += used

    def doubt(self, call: int) -> None:
        """Nobody knows what the call used: its reservation stays, as the most it may be."""
        self.unsure += self._reserved.pop(call, Spend())
