"""What the store hands out besides `Evaluation`: plain immutable records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from foundry.program import Device

if TYPE_CHECKING:
    from foundry.judge.verdict import Evaluation

PREDICTIONS = "predictions"
"""In `Evaluation.extra`: by workload and chip, what the chip model said; never a measurement."""
RunKind = Literal["run", "search", "autorun"]
Outcome = Literal["done", "budget", "open", "interrupted", "failed"]
"""`budget`: a limit ended it, and a larger one takes it up again. `open`: it hands out tickets, and
waits for whoever asks or tells next."""


@dataclass(frozen=True)
class Origin:
    """Where a kernel came from."""

    kind: Literal["template", "proposer", "file"]
    name: str
    """Template name, proposer name, or name of a file without its folder."""
    detail: Mapping[str, Any] = field(default_factory=dict)
    """Knobs, model, call id, move: JSON types."""


@dataclass(frozen=True)
class StoredEvaluation:
    """An evaluation with all that is known about how it came to be."""

    id: int
    run_id: int
    evaluation: Evaluation
    text: str
    """The canonical kernel file; what was given, where that is no kernel."""
    origin: Origin
    parent_hash: str | None
    device: Device
    created_at: datetime
    shapes: tuple[Mapping[str, int], ...] = ()
    """Sizes of the op's axes that its run was told to time; none: those of the op's bench cases."""


@dataclass(frozen=True)
class RunRecord:
    """One invocation that produced evaluations."""

    id: int
    kind: str
    command: str
    settings: Mapping[str, Any]
    settings_key: str
    seed: int
    device: Device
    environment: Mapping[str, Any]
    judge_version: int
    started_at: datetime
    resumed: int
    """How often it was taken up again."""
    finished_at: datetime | None
    outcome: str | None
    """None while it runs, or after it was killed."""
    evaluations: int
    """Saved so far."""


class CallState(StrEnum):
    """What became of an LLM call."""

    SENT = "sent"
    """Stored before it was sent; no answer is stored yet."""
    DONE = "done"
    """Answered."""
    FAILED = "failed"
    """Ended without a usable answer; its tokens and cost are known."""
    UNSURE = "unsure"
    """Ended without an answer, and the server may have billed it: known is only the most."""
    LOST = "lost"
    """The process died while it was under way: money possibly spent."""


@dataclass(frozen=True)
class Tokens:
    """Tokens of one call. `input_tokens` counts all input, cached or not."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    """The part of `input_tokens` that was read from a cache."""
    cache_write_tokens: int = 0
    """The part of `input_tokens` that was written to a cache."""
    reasoning_tokens: int = 0
    """The part of `output_tokens` that was not shown."""
    estimated: bool = False
    """The server told nothing; counted from the text."""


@dataclass(frozen=True)
class CallRecord:
    """One LLM call: a row of the ledger."""

    id: int
    run_id: int
    proposer: str
    model: str
    request_hash: str
    request: Mapping[str, Any]
    state: CallState
    most_tokens: int | None
    """Upper bound stated before it was sent: what a lost or unsure call cost at most."""
    most_usd: float | None
    response: Any
    error: str | None
    provider_request_id: str | None
    tokens: Tokens
    cost_usd: float | None
    sent_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True)
class NodeRecord:
    """One state of a search tree; `id` and `parent` count within their run."""

    id: int
    parent: int | None
    proposer: str
    state: str
    kernel_hash: str | None = None
    reward: float | None = None
    visits: int = 0
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Lesson:
    """What made a kernel faster, proven by the judge on one device."""

    op: str
    text: str
    gain: float
    """Time of the slower over the time of the faster."""
    id: int = 0
    shown: int = 0
    """Kernels that were proposed with it in the prompt."""
    paid: int = 0
    """How many of them beat their parent."""


@dataclass(frozen=True)
class Overview:
    """What is stored for one op in one dtype on one device."""

    op: str
    dtype: str
    device_id: str
    device_kind: str
    device_name: str
    evaluations: int
    statuses: Mapping[str, int]
    best_score: float | None
    """Highest lower bound of a speedup among kernels that `Store.best` would name."""
    best_hash: str | None
    last_at: datetime
