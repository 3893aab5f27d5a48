"""Recorded replies in order, from a JSON Lines file: a search without a model, repeatable.

Each line is `{"reply": "TEXT"}` or `{"failure": "rate_limit", "message": "..."}`; `tokens` (with
the names of `Tokens`) is optional. `discover export RUN --what replay -o FILE` writes such a file
from a search's ledger.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from discover.proposers import faults
from discover.protocol import Context, Failure, FailureKind, ProposerOptions, Reply, Request
from foundry.errors import UsageError, unknown
from foundry.prompts.build import build
from foundry.store.records import Tokens

_TOKENS = {field.name for field in dataclasses.fields(Tokens)}


class ReplayProposer:
    """Gives the n-th recorded reply at its n-th turn."""

    name = "replay"
    may_repair = True
    remote = True

    def __init__(self, model: str, replies: list[Reply | Failure]) -> None:
        self.model: str | None = model
        self._replies = replies

    def request(self, context: Context) -> Request | Failure:
        """The prompt an LLM would have got; finished when no reply is left."""
        if context.turn >= len(self._replies):
            return Failure(
                FailureKind.FINISHED, f"all {len(self._replies)} recorded replies are used"
            )
        prompt = build(context)
        body = {"turn": context.turn, "system": prompt.system, "user": prompt.user}
        return Request(self.name, self.model, body)

    def send(self, request: Request, timeout_s: float) -> Reply | Failure:
        """The recorded reply of this turn."""
        return self._replies[int(request.body["turn"])]

    def close(self) -> None:
        """Nothing to give back."""


def read_line(text: str) -> Reply | Failure:
    """One line of a replay file.

    Raises:
        UsageError: Not such a line.
    """
    try:
        entry = json.loads(text)
    except ValueError as error:
        raise UsageError(f"not JSON: {error}") from None
    if not isinstance(entry, dict) or not ("reply" in entry or "failure" in entry):
        raise UsageError('needs "reply" or "failure"')
    tokens = _tokens(entry.get("tokens") or {})
    if "reply" in entry:
        return Reply(str(entry["reply"]), tokens, detail={"recorded": True})
    kinds = {kind.value for kind in FailureKind}
    kind = str(entry["failure"])
    if kind not in kinds:
        raise unknown("failure", kind, kinds)
    return Failure(FailureKind(kind), str(entry.get("message", "")), tokens=tokens)


def write_line(text: str, tokens: Tokens) -> str:
    """One line of a replay file for a reply."""
    return json.dumps({"reply": text, "tokens": dataclasses.asdict(tokens)}, ensure_ascii=False)


def make(path: str | None, options: ProposerOptions) -> ReplayProposer:
    """The proposer of a replay file.

    Raises:
        UsageError: No file, or a line that is none of a replay file.
    """
    if not path:
        raise UsageError("replay needs a file: --llm replay:FILE")
    try:
        # Not `splitlines`: a reply may hold other ends of lines than those of a file.
        lines = Path(path).read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read replies from {path}: {error}") from None
    replies = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                replies.append(read_line(line))
            except UsageError as error:
                raise UsageError(f"{path} line {number}: {error}") from None
    return ReplayProposer(Path(path).name, replies)


def _tokens(entry: Any) -> Tokens:
    if not isinstance(entry, dict) or not set(entry) <= _TOKENS:
        raise UsageError(f"tokens holds {', '.join(sorted(_TOKENS))}")
    try:
        counts = {name: faults.tokens(entry[name]) for name in entry if name != "estimated"}
    except (TypeError, ValueError, OverflowError):
        raise UsageError(f"tokens are numbers, not {json.dumps(entry)}") from None
    return Tokens(**counts, estimated=bool(entry.get("estimated")))
