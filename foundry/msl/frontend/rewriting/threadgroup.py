"""Rewrites `threadgroup` declarations, which no macro can tell from pointers.

`threadgroup float a[64], b[4];` reserves storage that the whole threadgroup shares, while
`threadgroup float* p` is a plain pointer. Each variable becomes a struct of its own, laid out in
the threadgroup's memory by the target, and a reference to it under its old name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from foundry.msl.frontend.tokens import COMMENT, NAME, SIGN, SPACE, Token

_OPEN, _CLOSE = {"(", "[", "{"}, {")", "]", "}"}
_BOUNDARY = {"{", "}", ";", ":"}
_NOT_A_DECLARATION = {"return", "using", "typedef", "operator", "sizeof", "decltype", "="}
_DROPPED = {"threadgroup", "static", "extern", "constexpr"}
_CLASS_KEYS = {"struct", "union", "class"}
_ZERO = re.compile(r"[{,}]|0(?:\.0*)?[fFhHuU]?")
_TAKES_PARENTHESES = {"alignas", "__attribute__"}


@dataclass(frozen=True)
class Storage:
    """One rewritten variable: its number, the line of its declaration, its name."""

    number: int
    line: int
    names: tuple[str, ...]


@dataclass(frozen=True)
class BadDeclaration(Exception):
    """A threadgroup declaration that Metal does not accept."""

    part: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.part}:{self.line}: error: {self.reason}"


def rewrite(
    tokens: Sequence[Token], first_number: int, part: str
) -> tuple[list[Token], list[Storage]]:
    """The tokens with every threadgroup declaration rewritten, and what was declared.

    Raises:
        BadDeclaration: for one that Metal does not accept; `part` says where the text is from.
    """
    result: list[Token] = []
    storages: list[Storage] = []
    position = 0
    while position < len(tokens):
        token = tokens[position]
        span = None
        if token.kind == NAME and token.text == "threadgroup":
            span = declaration(tokens, position, part)
        if span is None:
            result.append(token)
            position += 1
            continue
        start, end = span
        del result[len(result) - (position - start) :]
        plain = _without_zeros(tokens[start:end])
        definition, declared = _hoisted(plain, first_number + len(storages))
        result += definition
        for one in _declarators(declared):
            number, names = first_number + len(storages), _names(one)
            storages.append(Storage(number, token.line, names))
            result.append(Token(SIGN, _replacement(one, storages[-1]), token.line))
        position = end + 1
    return result, storages


def declaration(tokens: Sequence[Token], at: int, part: str) -> tuple[int, int] | None:
    """First token of the declaration around `at` and its semicolon; None for anything else."""
    start = at
    for index in range(at - 1, -1, -1):
        token = tokens[index]
        if token.kind in {SPACE, COMMENT}:
            continue
        if token.text in _BOUNDARY or token.kind == "directive":
            break
        if token.text in _NOT_A_DECLARATION or not _is_specifier(tokens, index):
            return None
        start = index
    end = _semicolon(tokens, at, part)
    return None if end is None else (start, end)


def _is_specifier(tokens: Sequence[Token], index: int) -> bool:
    token = tokens[index]
    if token.kind in {NAME, "number"} or token.text in {"::", ">", ">>", "<", ","}:
        # A template argument list closes before the keyword, or the keyword is an argument.
        return token.text not in {"<", ","} or _closes(tokens, index)
    return token.text in {"(", ")"} and _belongs_to_attribute(tokens, index)


def _closes(tokens: Sequence[Token], index: int) -> bool:
    """Whether the template argument list at `index` closes before the `threadgroup` after it."""
    for token in tokens[index:]:
        if token.text in {">", ">>"}:
            return True
        if token.text == "threadgroup":
            return False
    return False


def _belongs_to_attribute(tokens: Sequence[Token], index: int) -> bool:
    for token in reversed(tokens[:index]):
        if token.kind in {SPACE, COMMENT}:
            continue
        if token.text in _TAKES_PARENTHESES:
            return True
        if token.text in _BOUNDARY:
            return False
    return False


def _semicolon(tokens: Sequence[Token], at: int, part: str) -> int | None:
    """Index of the semicolon that ends the declaration of plain variables from `at`."""
    zeros_end = 0
    for index, token in _top_level(tokens, at):
        text = token.text
        if text == ";":
            return index
        if index < zeros_end:
            continue
        if text == "=":
            if (end := _zeros_end(tokens, index)) is None:
                reason = "a threadgroup variable cannot have an initializer"
                raise BadDeclaration(part, token.line, reason)
            zeros_end = end
            continue
        if text in {"*", "&", "&&", "}", ")"}:
            return None
        if text == "{" and _class_key(tokens, at, index) is not None:
            continue
        if text in {"(", "{"} and not _belongs_to_attribute(tokens, index):
            return None
    return None


def _zeros_end(tokens: Sequence[Token], equals: int) -> int | None:
    """Past `= 0.0f` or `= {0}` from its `=`, which Metal takes and which sets nothing."""
    value = [n for n in range(equals + 1, len(tokens)) if tokens[n].kind not in {SPACE, COMMENT}]
    texts = [tokens[n].text for n in value]
    count = texts.index("}") + 1 if texts[:1] == ["{"] and "}" in texts else 1
    is_last = texts[count : count + 1] in ([], [","], [";"])
    if is_last and all(_ZERO.fullmatch(text) for text in texts[:count]):
        return value[count - 1] + 1
    return None


def _without_zeros(declaration: Sequence[Token]) -> list[Token]:
    """The declaration without the zeros that its variables are set to."""
    kept: list[Token] = []
    end = 0
    for index, token in enumerate(declaration):
        if index >= end and token.text == "=":
            end = _zeros_end(declaration, index) or 0
        if index >= end:
            kept.append(token)
    return kept


def _class_key(tokens: Sequence[Token], start: int, brace: int) -> int | None:
    """Index of the `struct` or `union` whose members the brace opens, at or after `start`."""
    before = [i for i in range(start, brace) if tokens[i].kind not in {SPACE, COMMENT}]
    return next((i for i in before[:-3:-1] if tokens[i].text in _CLASS_KEYS), None)


def _hoisted(declaration: Sequence[Token], number: int) -> tuple[list[Token], Sequence[Token]]:
    """A class defined within the declaration as one before it, and the declaration by its name."""
    for index, token in _top_level(declaration, 0):
        if token.text != "{" or (key := _class_key(declaration, 0, index)) is None:
            continue
        close = next(i for i, t in _top_level(declaration, index + 1) if t.text == "}")
        named = [t for t in declaration[key + 1 : index] if t.kind == NAME]
        name = named[0] if named else Token(NAME, f"mf_class_{number}", token.line)
        space, end = Token(SPACE, " ", token.line), Token(SIGN, ";", declaration[close].line)
        members = declaration[index : close + 1]
        definition = [declaration[key], space, name, space, *members, end]
        return definition, [*declaration[:key], name, *declaration[close + 1 :]]
    return [], declaration


def _top_level(tokens: Sequence[Token], start: int) -> Iterator[tuple[int, Token]]:
    """Tokens outside brackets and template arguments; an opening bracket itself is yielded."""
    depth = angles = 0
    for index in range(start, len(tokens)):
        token = tokens[index]
        if token.kind in {SPACE, COMMENT}:
            continue
        if depth == 0 and token.text in {"<", ">", ">>"}:
            angles += {"<": 1, ">": -1, ">>": -2}[token.text]
            continue
        if token.text in _CLOSE and depth > 0:
            depth -= 1
            continue
        if depth == 0 and (angles <= 0 or token.text == ";"):
            yield index, token
        if token.text in _OPEN:
            depth += 1


def _declarators(declaration: Sequence[Token]) -> Iterator[list[Token]]:
    """One declaration per variable: `float a[64], b[4]` as `float a[64]` and `float b[4]`."""
    commas = [i for i, t in _top_level(declaration, 0) if t.text == ","]
    if not commas:
        yield list(declaration)
        return
    name = _names(declaration[: commas[0]])[0]
    first = next(i for i, t in _top_level(declaration, 0) if (t.kind, t.text) == (NAME, name))
    yield list(declaration[: commas[0]])
    kept = [t for t in declaration[:first] if t.kind not in {SPACE, COMMENT}]
    words = [Token(SIGN, f"{t.text} ", t.line) for t in kept if t.text not in _DROPPED]
    for start, end in pairwise([*commas, len(declaration)]):
        yield [*words, *declaration[start + 1 : end]]


def _names(declaration: Sequence[Token]) -> tuple[str, ...]:
    names: list[str] = []
    latest = ""
    bracketed = False
    for _, token in _top_level(declaration, 0):
        if token.text == ",":
            names.append(latest)
            bracketed = False
        elif token.text == "[":
            bracketed = True
        elif token.kind == NAME and not bracketed:
            latest = token.text
    return (*names, latest)


def _replacement(declaration: Sequence[Token], storage: Storage) -> str:
    members = "".join("" if t.text in _DROPPED else t.text for t in declaration)
    struct, place = f"mf_storage_{storage.number}", f"mf_place_{storage.number}"
    references = "".join(f" auto& {name} = {place}.{name};" for name in storage.names)
    return (
        f"struct {struct} {{ {members}; }}; {struct}& {place} ="
        f" mf::threadgroup_storage<{storage.number}, {struct}>();{references}"
    )
