"""One proposer of a search: how it fares, what its answers take, whether it may be asked. No I/O.

| state | when | until |
|---|---|---|
| resting | a failure that waiting may mend | its pause is over: one call, then all |
| parked | a fault that somebody must mend, after it had answered | asked once an hour |
| out | nothing left, or such a fault before its first answer | the end |
"""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import dataclass, field

from discover.budget.limits import Spend
from discover.budget.pricing import Price, most_input_tokens, spend
from discover.calls.absence import Absence
from discover.protocol import Failure, FailureKind, Proposer
from foundry.store.records import Tokens

MAX_REPEATS_IN_ROW = 8
"""Proposals that repeat earlier kernels, one after another, before a proposer is out."""
MAX_REPEATS_OF_PARENT = 3
"""Repetitions from one parent before that one is left alone."""
MAX_ALIKE_IN_ROW = 3
"""Requests that end in the same way without an answer (too long, declined) before it is out."""
RUBBISH_SHARE, RUBBISH_AFTER = 0.9, 12
"""It is out when this share of its answers holds no kernel file, once it gave so many."""
_MARGIN = 1.05
_INPUT_MARGIN = 1.25
"""Of the densest prompt so far: the next one may hold more code and less prose."""
_USUAL_ANSWER_S = 10.0
"""What an answer is taken to need before the first came."""


@dataclass
class Seat:
    """A proposer and how it fares."""

    proposer: Proposer
    price: Price | None = None
    """None: unknown; its calls have no price."""
    turns: int = 0
    """Proposals asked for."""
    out: str | None = None
    """Why it is asked no more."""
    unaffordable: bool = False
    """Out because the budget has no room, or no time, for its calls."""
    parked: str | None = None
    """The fault that somebody must mend before it can answer again."""
    broken: bool = False
    """Out because of a fault that someone must mend."""
    refusing: bool = False
    """That fault lies in what is asked of it: another op may fare better."""
    exhausted: set[int] = field(default_factory=set)
    """Parents that give it nothing new."""
    repeats_in_row: int = 0
    rests_until_s: float = 0.0
    """Clock reading before which nothing is asked."""
    probing: bool = False
    """One call finds out whether it is back."""
    absence: Absence = field(default_factory=Absence)
    answers: int = 0
    earlier_answers: int = 0
    """Those of earlier sessions, which tell what one costs."""
    gains: int = 0
    """Proposals that beat their parent."""
    spent_tokens: int = 0
    spent_usd: float = 0.0
    rubbish: int = 0
    """Answers without a kernel file."""
    _repeats: Counter[int] = field(default_factory=Counter)
    _alike: tuple[FailureKind | None, int] = (None, 0)
    _seconds: deque[float] = field(default_factory=lambda: deque(maxlen=20))
    _longest_output: int = 0
    _largest_input: int = 0
    _tokens_per_byte: float = 0.0

    @property
    def title(self) -> str:
        """Name and model, as people read it."""
        return " ".join(part for part in (self.proposer.name, self.proposer.model) if part)

    def may_ask(self, now_s: float) -> bool:
        """Whether a call may be sent now; after an absence a single one goes first."""
        away = self.absence.since_s is not None or self.parked is not None
        return self.out is None and self.rests_until_s <= now_s and not (away and self.probing)

    def remember(self, tokens: Tokens) -> Spend:
        """Count an answer of an earlier session; what it costs by today's price."""
        self.earlier_answers += 1
        return self._paid(tokens)

    def answered(self, tokens: Tokens, size_bytes: int, took_s: float, now_s: float) -> None:
        """Note an answer, and what it took."""
        self.answers += 1
        self._alike, self.parked = (None, 0), None
        self.absence.over(now_s)
        self._seconds.append(took_s)
        self._paid(tokens)
        self._longest_output = max(self._longest_output, tokens.output_tokens)
        self._largest_input = max(self._largest_input, tokens.input_tokens)
        density = tokens.input_tokens / max(1, size_bytes)
        self._tokens_per_byte = max(self._tokens_per_byte, density)

    def _paid(self, tokens: Tokens) -> Spend:
        spent = spend(self.price, tokens)
        self.spent_tokens += spent.tokens
        self.spent_usd += spent.usd
        return spent

    def faulted(self, failure: Failure, now_s: float, pause_s: float) -> None:
        """Note a fault that waiting does not mend."""
        if failure.kind is FailureKind.FINISHED:
            self.out = failure.message
        elif self.answers:
            self.parked, self.rests_until_s = failure.message, now_s + pause_s
        else:
            self.out, self.broken = f"{self.title}: {failure.message}", True

    def failed(self, failure: Failure) -> None:
        """Note a request that was answered with none; unlike ones do not add up."""
        kind, count = self._alike
        count = count + 1 if kind is failure.kind else 1
        self._alike = failure.kind, count
        if count >= MAX_ALIKE_IN_ROW:
            self.out = f"{self.title}: {count} failures in a row, the last: {failure.message}"
            self.broken = self.refusing = True

    def repeated(self, parent: int | None) -> None:
        """Note a proposal that repeats an earlier kernel: it costs a call and brings nothing.

        A parent from which the same comes back again and again is not paid for any more.
        """
        self.repeats_in_row += 1
        if parent is not None:
            self._repeats[parent] += 1
            if self._repeats[parent] >= MAX_REPEATS_OF_PARENT:
                self.exhausted.add(parent)
        if self.repeats_in_row >= MAX_REPEATS_IN_ROW and self.out is None:
            self.out = f"{self.title}: {self.repeats_in_row} proposals in a row repeat earlier ones"

    def unusable(self) -> None:
        """Note an answer without a kernel file."""
        self.rubbish += 1
        if self.rubbish >= max(RUBBISH_AFTER, RUBBISH_SHARE * self.answers) and self.out is None:
            self.out = (
                f"{self.title}: {self.rubbish} of {self.answers} answers hold no kernel file; "
                f"at {RUBBISH_SHARE:.0%} of {RUBBISH_AFTER} or more it is asked no further"
            )

    @property
    def expected_s(self) -> float:
        """How long an answer takes: the slowest of the latest."""
        return max(self._seconds, default=_USUAL_ANSWER_S)

    @property
    def knows_its_time(self) -> bool:
        """Whether an answer has come to learn from."""
        return bool(self._seconds)

    @property
    def usual_output(self) -> int | None:
        """Tokens that its answers need; None before the first."""
        return math.ceil(self._longest_output * _MARGIN) or None

    def input_bound(self, size_bytes: int) -> int:
        """Tokens that a prompt of so many bytes has at most, as learnt from its answers."""
        bound = most_input_tokens(size_bytes)
        if not self._tokens_per_byte:
            return bound
        learnt = math.ceil(size_bytes * self._tokens_per_byte * _INPUT_MARGIN)
        return min(bound, max(learnt, self._largest_input))
