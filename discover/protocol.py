"""What every proposer promises: from a context to a request, from a request to a reply.

1. `request(context)` is pure: it renders what would be asked, or says that nothing is left.
2. A proposer that is `remote` costs money or time elsewhere: its request becomes a row of the
   ledger before it is sent, and its budget is reserved.
3. `send(request)` is one attempt and the only place with I/O. Whatever goes wrong comes back as a
   `Failure`; retries, waiting and giving up belong to the search.

To add a proposer, write a class with the members of `Proposer` and name the function that makes one
in an entry point of the group `metal_foundry.proposers`; see docs/extend.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field, field_validator

from foundry.kernel import Kernel, text_hash
from foundry.prompts.assignment import Assignment
from foundry.prompts.forms import FORMS
from foundry.store.records import Tokens


@dataclass(frozen=True)
class Context(Assignment):
    """Everything a proposer may know about the search."""

    seed: int = 0
    """Differs for every expansion; the same after a resume."""
    longest_answer: int | None = None
    """Tokens for which the budget has room; None: as the options say."""
    seen: Callable[[Kernel], bool] = lambda kernel: False
    """Whether the search has this kernel already, up to names, space and comments."""


@dataclass(frozen=True)
class Request:
    """What is asked, as data: it is stored before it is sent."""

    proposer: str
    model: str | None
    body: Mapping[str, Any]
    """The whole request in JSON types, without keys or headers."""
    max_output_tokens: int = 0

    @property
    def hash(self) -> str:
        """SHA-256 of proposer, model and body."""
        text = json.dumps([self.proposer, self.model, self.body], sort_keys=True)
        return text_hash(text)


@dataclass(frozen=True)
class Reply:
    """An answer that ended as it should."""

    text: str
    tokens: Tokens = field(default_factory=Tokens)
    stop_reason: str = "end"
    detail: Mapping[str, Any] = field(default_factory=dict)
    """Facts for the origin of the kernel: move, template, model, request id."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", storable(self.text))


class FailureKind(StrEnum):
    """Why no usable reply came."""

    RATE_LIMIT = "rate_limit"
    OVERLOADED = "overloaded"
    SERVER = "server"
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    BAD_REPLY = "bad_reply"
    """Success by status, but not an answer: HTML, broken JSON, an error body, no usage."""
    CUT = "cut"
    """The answer stops without a stop reason."""
    TRUNCATED = "truncated"
    """The answer hit its token limit."""
    REFUSED = "refused"
    """The model or a filter declined."""
    BAD_REQUEST = "bad_request"
    SPEND_LIMIT = "spend_limit"
    """The account's money limit: waiting does not help."""
    DENIED = "denied"
    """Key wrong or not allowed."""
    NOT_FOUND = "not_found"
    """No such model or address."""
    EXHAUSTED = "exhausted"
    """Nothing left to propose for this parent."""
    UNAFFORDABLE = "unaffordable"
    """The budget has no room for a call, or no time for its answer."""
    FINISHED = "finished"
    """Nothing left to propose at all."""

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later."""
        return self in _RETRYABLE

    @property
    def taken(self) -> bool:
        """Whether the server took the request, and may have worked on it."""
        return self in _TAKEN

    @property
    def fatal(self) -> bool:
        """Whether every further request of this proposer would fail too."""
        return self in _FATAL


_RETRYABLE = {
    FailureKind.RATE_LIMIT,
    FailureKind.OVERLOADED,
    FailureKind.SERVER,
    FailureKind.TIMEOUT,
    FailureKind.CONNECTION,
    FailureKind.BAD_REPLY,
    FailureKind.CUT,
}
_TAKEN = {FailureKind.TIMEOUT, FailureKind.BAD_REPLY, FailureKind.CUT}
_FATAL = {
    FailureKind.SPEND_LIMIT,
    FailureKind.DENIED,
    FailureKind.NOT_FOUND,
    FailureKind.FINISHED,
}


@dataclass(frozen=True)
class Failure:
    """No usable reply, as data: stored in the ledger, shown to the user."""

    kind: FailureKind
    message: str
    retry_after_s: float | None = None
    """How long the server asked to wait."""
    tokens: Tokens | None = None
    """Tokens that were billed all the same, where the server said so."""
    maybe_billed: bool = False
    """The server may have worked and billed without our knowing."""
    text: str = ""
    """What came of the answer, for the ledger."""
    status: int | None = None
    """HTTP status, where there was one."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", storable(self.text))
        object.__setattr__(self, "message", storable(self.message))


def storable(text: str) -> str:
    """Text that any file or database takes: JSON may hold half of a surrogate pair."""
    return text.encode(errors="replace").decode()


EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""How hard a reasoning model may be told to think."""


class ProposerOptions(BaseModel):
    """What a user may set for a proposer."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    base_url: str | None = None
    """Server address; None is the provider's own, or its usual environment variable."""
    max_output_tokens: int = Field(default=16_000, ge=256)
    effort: str | None = None
    """How hard a reasoning model thinks; None leaves it to the model."""
    prompt: str = "full"
    """How much a prompt explains: `full`, or `compact` for small models."""

    @field_validator("prompt")
    @classmethod
    def _known_form(cls, value: str) -> str:
        if value not in FORMS:
            raise ValueError(f"choose one of {', '.join(FORMS)}")
        return value

    def answer_room(self, longest: int | None) -> int:
        """Tokens an answer may have, within what the budget has room for."""
        wanted = self.max_output_tokens
        return wanted if longest is None else min(wanted, longest)


@runtime_checkable
class Probed(Protocol):
    """A proposer that can find out, at no cost, whether it would be answered at all."""

    def probe(self, timeout_s: float) -> Failure | None:
        """Why no request would be answered: key, model, address. None where nothing is wrong."""


@runtime_checkable
class Proposer(Protocol):
    """Whoever suggests kernels."""

    name: str
    """As in the ledger and in origins: `mutate`, `anthropic`."""
    model: str | None
    may_repair: bool
    """Whether a failed kernel may be given as the parent."""
    remote: bool
    """Whether calls leave the machine or cost money: ledger, budget and retries apply."""

    def request(self, context: Context) -> Request | Failure:
        """What would be asked; a `Failure` of kind exhausted or finished when nothing is left."""

    def send(self, request: Request, timeout_s: float) -> Reply | Failure:
        """One attempt. Raises nothing for what a server or a network does."""

    def close(self) -> None:
        """Give back connections; nothing is sent afterwards."""
