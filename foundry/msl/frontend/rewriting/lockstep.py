"""Keeps kernels right that count on the lanes of a GPU advancing together.

Threads here run one after the other between two barriers. A kernel that reads threadgroup memory
and then writes it without a barrier between is a race, yet one every GPU wins, since lanes read
together before any of them goes on to write; published kernels do it in block reductions that are
called twice and at the end of loops. Before such a write a thread lets all others pass, which is
no more than another order of running: it changes nothing for a kernel without the race.

The text is walked in order, a loop or function body twice since its end comes before its start. A
read counts until the next barrier or SIMD-group operation; a write to the very element that was
read, or in the statement that reads, needs nobody to wait.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from foundry.msl.frontend.rewriting.convergence import (
    Function,
    Source,
    functions_of,
    holds_collective,
)
from foundry.msl.frontend.tokens import NAME, SPACE, Token

_LET_PASS = "mf::let_pass(), "
_ASSIGNS = {"=", "+", "-", "*", "/", "%", "&", "|", "^", "<<", ">"}
_BEFORE_STATEMENT = {";", "{", "}", "else", "do", ")"}
_UNKNOWN = "?"
_DEPTH = 6
"""Loops within loops that are walked twice each; deeper ones are walked once."""

Reads = dict[str, set[str]]


def rewrite(
    header: list[Token], body: list[Token], arrays: Collection[str]
) -> tuple[list[Token], list[Token]]:
    """Both parts; `arrays` are the names of the threadgroup declarations in them."""
    sources = [Source(header), Source(body)]
    if not arrays and not any("threadgroup" in source.text for source in sources):
        return header, body
    known: dict[str, bool] = {}
    results = []
    for source in sources:
        walk = _Walk(source, {*arrays, *_pointers(source)}, known)
        for function in walk.functions:
            if any(holds_collective(t, known) for t in source.text[slice(*function.body)]):
                reads: Reads = {}
                walk.twice(*function.body, reads)
                known[function.name] = any(reads.values())
        walk.once(0, len(source.text), {})
        results.append(_with_turns(source, walk.late))
    return results[0], results[1]


def _pointers(source: Source) -> Iterator[str]:
    """Names of pointers and references to threadgroup memory."""
    for at, text in enumerate(source.text):
        if text != "threadgroup":
            continue
        for after in range(at + 1, min(at + 12, len(source.text) - 1)):
            if source.text[after] in {";", ",", ")", "{", "="}:
                break
            if source.text[after] in {"*", "&"} and source.kind[after + 1] == NAME:
                yield source.text[after + 1]


def _with_turns(source: Source, late: set[int]) -> list[Token]:
    at = {source.order[n] for n in late}
    result: list[Token] = []
    for index, token in enumerate(source.tokens):
        if index in at:
            result.append(Token(SPACE, _LET_PASS, token.line))
        result.append(token)
    return result


@dataclass
class _Walk:
    """Walks a text; `late` are the writes before which others have to pass."""

    source: Source
    arrays: set[str]
    known: dict[str, bool]
    """Functions that synchronise, and whether they leave reads behind."""
    late: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._depth = 0
        self.functions: list[Function] = functions_of(self.source)
        self._starts = {f.body[0]: f.body[1] for f in self.functions}

    def twice(self, start: int, end: int, reads: Reads) -> None:
        """A body that may run again after its own end."""
        self._depth += 1
        self.once(start + 1, end, reads)
        if self._depth <= _DEPTH:
            self.once(start + 1, end, reads)
        self._depth -= 1

    def once(self, at: int, end: int, reads: Reads) -> None:
        """Reads not yet followed by a barrier are added to `reads`, or taken away."""
        source = self.source
        while at < end:
            text = source.text[at]
            close = self._starts.get(at) or self._loop_body(at)
            if close is not None:
                self.twice(at, close, reads)
                at = close
            elif text in self.arrays and source.kind[at] == NAME:
                at = self._access(at, reads)
            elif holds_collective(text, self.known):
                at = self._call(at, reads)
            at += 1

    def _loop_body(self, at: int) -> int | None:
        """The end of the braces that open at `at`, if they are a loop's."""
        text = self.source.text
        if text[at] != "{" or at not in self.source.partner or at == 0:
            return None
        head = self.source.opening.get(at - 1, 0) if text[at - 1] == ")" else 0
        loops = text[at - 1] == "do" or (head > 0 and text[head - 1] in {"for", "while"})
        return self.source.partner[at] if loops else None

    def _call(self, at: int, reads: Reads) -> int:
        opening = self.source.call_parenthesis(at)
        if opening is None:
            return at
        close = self.source.partner[opening]
        reads.clear()
        if self.known.get(self.source.text[at]):
            for name in self.arrays & set(self.source.text[opening:close]):
                reads[name] = {_UNKNOWN}
        return close

    def _access(self, at: int, reads: Reads) -> int:
        """A read, or an assignment and what its right side reads; the last token of it."""
        source, name = self.source, self.source.text[at]
        after = at + 1
        while after < len(source.text) and source.text[after] == "[" and after in source.partner:
            after = source.partner[after] + 1
        element = "".join(source.text[at + 1 : after])
        if not self._assigns(at, after):
            reads.setdefault(name, set()).add(element or _UNKNOWN)
            return after - 1
        own = {element} if re.search("[a-z]", element, re.IGNORECASE) else set()
        if reads.get(name, set()) - own:
            self.late.add(at)
        while after < len(source.text) and source.text[after] != ";":
            other = source.text[after]
            if holds_collective(other, self.known):
                after = self._call(after, reads)
            after = source.partner.get(after, after) + 1
        return after

    def _assigns(self, at: int, after: int) -> bool:
        """Whether the access between two tokens is what a statement begins with and assigns to."""
        text = self.source.text
        begins = at > 0 and text[at - 1] in _BEFORE_STATEMENT and after > at + 1
        if not begins or text[after : after + 1] == ["=="]:
            return False
        operator = text[after : after + 3]
        if operator[:1] == ["="]:
            return operator[1:2] != ["="]
        return operator[:1][0] in _ASSIGNS and "=" in operator[1:3] if operator else False
