"""Just enough structure of a kernel's text for rewrites: tokens with places, calls, `for` loops."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from foundry.kernel import Kernel, KernelLaunch
from foundry.msl.frontend.tokens import (
    COMMENT,
    DIRECTIVE,
    NAME,
    SIGN,
    SPACE,
    Token,
    join_lines,
    tokenize,
)

_CLOSING = {"(": ")", "[": "]", "{": "}"}
_INIT = re.compile(
    r"\s*(?P<type>u?int|u?short|size_t|ulong|long|uint32_t|int32_t)\s+"
    r"(?P<var>\w+)\s*=\s*(?P<start>.+?)\s*",
    re.S,
)
_COND = re.compile(r"\s*(?P<var>\w+)\s*<\s*(?P<limit>[^<=].*?)\s*", re.S)
_STEP = re.compile(
    r"\s*(?:\+\+(?P<pre>\w+)|(?P<post>\w+)\+\+|(?P<var>\w+)\s*\+=\s*(?P<step>.+?))\s*", re.S
)
_ADVICE = re.compile(r"\n?[ \t]*#pragma[ \t]+unroll[^\n]*\n\s*\Z")
_KEPT = 128
"""Texts whose tokens are kept: a rewrite looks at the bodies of one kernel again and again."""
_JOINING = {",", "&&", "||", "?", "="}
LEAVES = {"break", "continue", "goto", "threadgroup_barrier", "simdgroup_barrier"}
"""Names that leave a step early, or make threads wait in it."""


@dataclass(frozen=True)
class Piece:
    """A token and where it starts."""

    token: Token
    at: int

    @property
    def end(self) -> int:
        """Where the next token starts."""
        return self.at + len(self.token.text)

    @property
    def text(self) -> str:
        """The token's spelling."""
        return self.token.text


@dataclass(frozen=True)
class Loop:
    """`for (TYPE var = start; var < limit; var += step) body` and where it stands."""

    begin: int
    end: int
    """The loop's text is `source[begin:end]`."""
    type: str
    var: str
    start: str
    limit: str
    step: str
    body: str
    """Without its braces."""
    body_at: int
    number: int
    """Which loop of the text it is, from 1."""

    @property
    def title(self) -> str:
        """`loop 2 over c`."""
        return f"loop {self.number} over {self.var}"


@lru_cache(maxsize=_KEPT)
def plain(text: str) -> str:
    """The text as the tokenizer sees it, so that places in tokens are places in the text."""
    return "".join(token.text for token in tokenize(join_lines(text)))


@lru_cache(maxsize=_KEPT)
def pieces(text: str) -> tuple[Piece, ...]:
    """Tokens that mean something: no space, no comments; `text` must be `plain`."""
    found, at = [], 0
    for token in tokenize(text):
        if token.kind not in (SPACE, COMMENT):
            found.append(Piece(token, at))
        at += len(token.text)
    return tuple(found)


def names(text: str) -> set[str]:
    """Every identifier of a text, keywords included."""
    return {piece.text for piece in pieces(plain(text)) if piece.token.kind == NAME}


def free_name(wanted: str, taken: set[str]) -> str:
    """`wanted`, or `wanted_2` and so on when that is taken."""
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    return name


def rename(text: str, new: Mapping[str, str]) -> str:
    """Replace identifiers, but not members such as `.x` or `->x`."""
    found, before = [], ""
    for token in tokenize(text):
        member = before in (".", "->", "::")
        replace = token.kind == NAME and not member and token.text in new
        found.append(new[token.text] if replace else token.text)
        if token.kind not in (SPACE, COMMENT):
            before = token.text
    return "".join(found)


def loops(text: str) -> Iterator[Loop]:
    """Every counting `for` loop, outer ones first; `text` must be `plain`."""
    tokens = pieces(text)
    places = [i for i, p in enumerate(tokens) if p.text == "for" and p.token.kind == NAME]
    for number, index in enumerate(places, 1):
        loop = _loop(text, tokens, index, number)
        if loop is not None:
            yield loop


def replace_loop(body: str, loop: Loop, text: str) -> str:
    """The body with a loop replaced; unroll advice above it goes, as it may precede loops only."""
    return _ADVICE.sub("\n", body[: loop.begin]) + text + body[loop.end :]


def closing(tokens: Sequence[Piece], index: int) -> int | None:
    """Index of the bracket that closes the one at `index`."""
    depth = 0
    for at in range(index, len(tokens)):
        if tokens[at].token.kind == SIGN:
            depth += (tokens[at].text in _CLOSING) - (tokens[at].text in _CLOSING.values())
            if depth == 0:
                return at
    return None


def depth_at(text: str, at: int) -> int:
    """How many braces are open at a place; `text` must be `plain`."""
    return sum((p.text == "{") - (p.text == "}") for p in pieces(text) if p.at < at)


def subscripts(text: str) -> Iterator[tuple[str, str]]:
    """Arrays that are indexed, each with the text between its brackets; `text` must be `plain`."""
    tokens = pieces(text)
    for index, piece in enumerate(tokens[:-1]):
        member = index and tokens[index - 1].text in (".", "->", "::")
        if piece.token.kind == NAME and not member and tokens[index + 1].text == "[":
            close = closing(tokens, index + 1)
            if close is not None:
                yield piece.text, text[tokens[index + 1].end : tokens[close].at].strip()


def statements(body: str) -> list[str]:
    """Statements of a flat block, without their semicolons; empty when it holds blocks."""
    tokens = pieces(body)
    if any(p.text in ("{", "}") or p.token.kind == DIRECTIVE for p in tokens):
        return []
    depth, start, found = 0, 0, []
    for piece in tokens:
        depth += (piece.text in "([") - (piece.text in ")]")
        if piece.text == ";" and depth == 0:
            found.append(code(body[start : piece.at]))
            start = piece.end
    return found if not code(body[start:]) else []


def assigned(text: str) -> set[str]:
    """Names that are assigned, incremented or whose address may be taken."""
    tokens = pieces(text)
    found: set[str] = set()
    for index, piece in enumerate(tokens):
        if piece.token.kind != NAME:
            continue
        after = "".join(p.text for p in tokens[index + 1 : index + 3])
        before = tokens[index - 1].text if index else ""
        compound = re.match(r"(?:[-+*/%&|^]|<<|>>)?=(?!=)", after)
        if compound or after.startswith(("++", "--")) or before in ("++", "--", "&"):
            found.add(piece.text)
        # An element of an array is assigned under the name of the array.
        if after.startswith("["):
            close = closing(tokens, index + 1)
            rest = "".join(p.text for p in tokens[close + 1 : close + 3]) if close else ""
            if re.match(r"[-+*/%&|^]?=(?!=)", rest):
                found.add(piece.text)
    return found


def edit_bodies(
    kernel: Kernel, edit: Callable[[str], Iterator[tuple[str, str]]]
) -> Iterator[tuple[str, Kernel]]:
    """Apply an edit to one launch at a time.

    Args:
        kernel: The kernel to rewrite.
        edit: From the body of a launch to pairs of label and new body.
    """
    many = len(kernel.launches) > 1
    for index, launch in enumerate(kernel.launches):
        for label, body in edit(plain(launch.body)):
            where = f" in launch {index + 1}" if many else ""
            yield label + where, with_launch(kernel, index, body=body)


def edit_everywhere(kernel: Kernel, edit: Callable[[str], str]) -> Kernel | None:
    """Apply an edit to helpers and all bodies; None when nothing changed."""
    launches = tuple(
        dataclasses.replace(launch, body=edit(plain(launch.body)), lines={})
        for launch in kernel.launches
    )
    edited = dataclasses.replace(kernel, header=edit(plain(kernel.header)), launches=launches)
    before = dataclasses.replace(
        kernel,
        header=plain(kernel.header),
        launches=tuple(dataclasses.replace(s, body=plain(s.body)) for s in kernel.launches),
    )
    return None if edited == before else edited


def with_launch(kernel: Kernel, index: int, **changes: object) -> Kernel:
    """The kernel with fields of one launch replaced."""
    launches = list(kernel.launches)
    launches[index] = dataclasses.replace(launches[index], lines={}, **changes)  # type: ignore[arg-type]
    return dataclasses.replace(kernel, launches=tuple(launches))


def taken_names(kernel: Kernel, launch: KernelLaunch) -> set[str]:
    """Identifiers that a new name in this launch must not collide with."""
    return names(launch.body) | names(kernel.header) | {name for name, _ in launch.constants}


def _loop(text: str, tokens: Sequence[Piece], index: int, number: int) -> Loop | None:
    if index + 1 >= len(tokens) or tokens[index + 1].text != "(":
        return None
    close = closing(tokens, index + 1)
    if close is None or close + 1 >= len(tokens):
        return None
    parts = _split(text[tokens[index + 1].end : tokens[close].at])
    if len(parts) != 3:
        return None
    init, cond, step = (p.fullmatch(t) for p, t in zip((_INIT, _COND, _STEP), parts, strict=True))
    if not (init and cond and step):
        return None
    stepped = step["pre"] or step["post"] or step["var"]
    simple = all(map(_simple, (init["start"], cond["limit"], step["step"] or "1")))
    if not simple or not init["var"] == cond["var"] == stepped:
        return None
    body = _body(text, tokens, close + 1)
    if body is None:
        return None
    body_at, body_end, end = body
    return Loop(
        tokens[index].at,
        end,
        init["type"],
        init["var"],
        init["start"],
        cond["limit"],
        step["step"] or "1",
        text[body_at:body_end],
        body_at,
        number,
    )


def _body(text: str, tokens: Sequence[Piece], index: int) -> tuple[int, int, int] | None:
    """Begin and end of a loop's body, and end of the loop; None for a nested statement."""
    if tokens[index].text == "{":
        close = closing(tokens, index)
        if close is None:
            return None
        return tokens[index].end, tokens[close].at, tokens[close].end
    if tokens[index].text in ("for", "if", "while", "do", "switch"):
        return None
    for piece in tokens[index:]:
        if piece.text == ";":
            return tokens[index].at, piece.end, piece.end
    return None


def _split(text: str) -> list[str]:
    depth, start, found = 0, 0, []
    for piece in pieces(text):
        depth += (piece.text in _CLOSING) - (piece.text in _CLOSING.values())
        if piece.text == ";" and depth == 0:
            found.append(text[start : piece.at])
            start = piece.end
    return [*found, text[start:]]


def _simple(text: str) -> bool:
    """Whether an expression is one: no list, no condition, no assignment."""
    depth = 0
    for piece in pieces(text):
        depth += (piece.text in _CLOSING) - (piece.text in _CLOSING.values())
        if depth == 0 and piece.text in _JOINING:
            return False
    return True


def code(text: str) -> str:
    """The text without comments, outer space removed."""
    return "".join(t.text for t in tokenize(text) if t.kind != COMMENT).strip()
