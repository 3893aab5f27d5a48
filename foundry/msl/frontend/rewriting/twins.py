"""Removes overloads and specialisations that differ by address space alone.

Metal tells `total(device T*)` from `total(threadgroup T*)`, and `void next() thread` from
`void next() device`. Here all memory is one, so they are the same function twice: the later twin
goes, and leaves its newlines, so that every other token stays on its line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from foundry.msl.frontend.code import Code
from foundry.msl.frontend.tokens import DIRECTIVE, NAME, SPACE, Token

_SPACES = frozenset({"device", "thread", "threadgroup", "constant"})
_QUALIFIERS = _SPACES | {"const", "volatile", "noexcept", "override", "final"}
_TYPE_KEYS = frozenset({"struct", "class", "union"})


def remove(tokens: Sequence[Token]) -> list[Token]:
    """The tokens without the later of two definitions that are one here."""
    if not any(t.kind == NAME and t.text in _SPACES for t in tokens):
        return list(tokens)
    gone = set(_twins(tokens))
    return [_blank(t) if n in gone else t for n, t in enumerate(tokens)]


def different(tokens: Sequence[Token]) -> Iterator[list[tuple[int, int | None]]]:
    """Groups of functions that differ by address space and do not do the same.

    Each as the tokens that it begins with and that is its name; no name for what cannot have
    another: a member, a constructor, an operator.
    """
    code = Code(tokens)
    groups: dict[tuple[str, ...], list[tuple[int, int, int, bool]]] = {}
    for first, head_end, last, in_type in _functions(code, 0, len(code.text), in_type=False):
        key = (str(in_type), *_signature(code, first, head_end, _plain))
        groups.setdefault(key, []).append((first, head_end, last, bool(in_type)))
    for group in groups.values():
        heads = {tuple(code.text[first:end]) for first, end, _, _ in group}
        bodies = {tuple(_body(code, first, end, last)) for first, end, last, _ in group}
        if len(heads) > 1 and len(bodies) > 1:
            starts = [code.at[_past_template(code, first)] for first, _, _, _ in group]
            names = [_name(code, first, end, member) for first, end, _, member in group]
            yield list(zip(starts, names, strict=True))


def specialised(tokens: Sequence[Token]) -> frozenset[str]:
    """Names of class templates with specialisations that differ by address space and content."""
    code = Code(tokens)
    groups: dict[tuple[str, ...], list[tuple[int, int, int]]] = {}
    for first, head_end, last, inner in _declarations(code, 0, len(code.text), in_type=False):
        if inner is not None and any(t in _TYPE_KEYS for t in code.text[first:head_end]):
            key = _signature(code, first, head_end, _plain)
            groups.setdefault(key, []).append((first, head_end, last))
    names = set()
    for group in groups.values():
        heads = {tuple(code.text[first:end]) for first, end, _ in group}
        bodies = {tuple(_plain(code.text[end : last + 1])) for _, end, last in group}
        if len(heads) > 1 and len(bodies) > 1:  # several `typedef struct {` have one head
            head = code.text[group[0][0] : group[0][1]]
            key_at = max(n for n, t in enumerate(head) if t in _TYPE_KEYS and "<" in head[n:])
            names.add(head[key_at + 1])
    return frozenset(names)


def _functions(
    code: Code, start: int, end: int, in_type: int
) -> Iterator[tuple[int, int, int, int]]:
    """First token, end of the head, last token of every function with a body; its class."""
    for first, head_end, last, inner in _declarations(code, start, end, bool(in_type)):
        if inner is not None:
            kind = any(code.text[n] in _TYPE_KEYS for n in range(first, head_end))
            yield from _functions(code, *inner, in_type=first + 1 if kind else 0)
        elif "(" in code.text[first:head_end] and code.text[last] == "}":
            yield first, head_end, last, in_type


def _past_template(code: Code, at: int) -> int:
    """The token that a function's specifiers begin with, after the template's parameters."""
    while code.text[at] == "template":
        depth, at = 1, at + 2
        while depth:
            depth += (code.text[at] == "<") - (code.text[at] == ">")
            at += 1
    return at


def _body(code: Code, first: int, end: int, last: int) -> list[str]:
    """What a function does, whatever its parameters are called and wherever they point."""
    opening = _opening(code, first, end)
    if opening is None:
        return _plain(code.text[end : last + 1])
    closing = code.partner[opening]
    after = {",", ")", "=", "["}
    places = [n for n in range(opening + 2, closing) if code.kind[n] == NAME]
    names = [code.text[n] for n in places if code.text[n + 1] in after]
    called = {name: f"parameter {n}" for n, name in enumerate(names)}
    return [called.get(word, word) for word in _plain(code.text[end : last + 1])]


def _opening(code: Code, first: int, end: int) -> int | None:
    """The bracket of a function's parameters; None in a text that ends in the middle."""
    places = range(first, end)
    return next((n for n in places if code.text[n] == "(" and n in code.partner), None)


def _name(code: Code, first: int, end: int, is_member: bool) -> int | None:
    """The token that names a function, and None where it cannot have another name."""
    opening = _opening(code, first, end)
    if opening is None:
        return None
    named = code.kind[opening - 1] == NAME and "operator" not in code.text[first:opening]
    return code.at[opening - 1] if named and not is_member else None


def remove_members(tokens: Sequence[Token]) -> list[Token]:
    """The tokens without members that repeat an earlier one of their class.

    For a text whose members no longer say in which spaces their object may lie.
    """
    code = Code(tokens)
    gone = {
        n
        for first, last in _again(code, 0, len(code.text), in_type=False)
        for n in range(code.at[first], code.at[last] + 1)
    }
    return [_blank(t) if n in gone else t for n, t in enumerate(tokens)]


def _again(code: Code, start: int, end: int, in_type: bool) -> Iterator[tuple[int, int]]:
    """First and last token of the members that a class declares twice."""
    seen: set[tuple[str, ...]] = set()
    for first, head_end, last, inner in _declarations(code, start, end, in_type):
        if inner is not None:
            kind = any(code.text[n] in _TYPE_KEYS for n in range(first, head_end))
            yield from _again(code, *inner, in_type=kind)
        signature = _signature(code, first, head_end, list)
        if in_type and "(" in signature:
            signature = _without_result(signature)
            if signature in seen:
                yield first, last
        seen.add(signature)


def _without_result(signature: tuple[str, ...]) -> tuple[str, ...]:
    """A signature from the name on: members that differ in what they return alone are one.

    Templates may: which of them exists for a type is said there (`enable_if_t`).
    """
    opening = signature.index("(")
    is_operator = "operator" in signature[:opening]
    is_variable = "=" in signature[:opening] and not is_operator
    if is_variable or signature[0] == "template":
        return signature
    name = signature.index("operator") if is_operator else opening - 1
    return signature[max(name, 0) :]


def _blank(token: Token) -> Token:
    return token._replace(kind=SPACE, text="\n" * token.text.count("\n"))


def _twins(tokens: Sequence[Token]) -> Iterator[int]:
    """Tokens of definitions that repeat an earlier one but for address spaces."""
    code = Code(tokens)
    for first, last in _repeated(code, 0, len(code.text), in_type=False):
        for n in range(code.at[first], code.at[last] + 1):
            if tokens[n].kind != DIRECTIVE or tokens[n].text.lstrip("# ").startswith("pragma"):
                yield n


def _repeated(code: Code, start: int, end: int, in_type: bool) -> Iterator[tuple[int, int]]:
    """First and last token of the later twins in a scope and the scopes inside it."""
    seen: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    for first, head_end, last, inner in _declarations(code, start, end, in_type):
        if inner is not None:
            kind = any(code.text[n] in _TYPE_KEYS for n in range(first, head_end))
            yield from _repeated(code, *inner, in_type=kind)
        raw = tuple(code.text[first:head_end])
        known = seen.setdefault(_signature(code, first, head_end, _plain), set())
        if known and raw not in known:
            yield first, last
        known.add(raw)


def _declarations(
    code: Code, start: int, end: int, in_type: bool
) -> Iterator[tuple[int, int, int, tuple[int, int] | None]]:
    """Definitions of a scope: first token, end of the head, last token, a scope inside."""
    first = at = start
    while at < end:
        text = code.text[at]
        if in_type and text == ":" and code.text[first:at] in (["public"], ["private"]):
            first = at + 1
        elif text == ";":
            if in_type and "(" in code.text[first:at]:
                yield first, at, at, None
            first = at + 1
        elif text == "{" and at in code.partner:
            close = code.partner[at]
            head = code.text[first:at]
            if "namespace" in head or (head[:1] == ["extern"] and at == first + 2):
                yield first, at, close, (at + 1, close)
                first = close + 1
            elif not _initialises(code, first, at):
                is_type = "(" not in head and any(t in _TYPE_KEYS for t in head)
                last = close
                if is_type and code.text[close + 1 : close + 2] == [";"]:
                    last = close + 1
                yield first, at, last, (at + 1, close) if is_type else None
                first = last + 1
                close = last
            at = close
        elif text in "([" and at in code.partner:
            at = code.partner[at]
        at += 1


def _initialises(code: Code, first: int, at: int) -> bool:
    """Whether the brace opens an initialiser and not a body: `= {`, `: member{`, `x{`."""
    before = code.text[at - 1] if at > first else ""
    head = code.text[first:at]
    if before in {"=", ",", "return"} or "enum" in head:
        return True
    named = code.kind[at - 1] == NAME and before not in _QUALIFIERS
    return named and (":" in head if "(" in head else not any(t in _TYPE_KEYS for t in head))


def _signature(
    code: Code, first: int, end: int, plain: Callable[[Sequence[str]], list[str]]
) -> tuple[str, ...]:
    """A head without parameter names, and without what `plain` leaves out."""
    opening = next((n for n in range(first, end) if code.text[n] == "(" and n in code.partner), end)
    result = plain(code.text[first:opening])
    if opening == end:
        return tuple(result)
    closing = code.partner[opening]
    parameter: list[str] = []
    depth = 0
    for n in range(opening + 1, closing + 1):
        text = code.text[n]
        depth += (text in "([{<") - (text in ")]}>")
        if n == closing or (text == "," and depth == 0):
            result += ["(", *plain(_without_name(parameter))]
            parameter = []
        else:
            parameter.append(text)
    return (*result, ")", *plain(code.text[closing + 1 : end]))


def _without_name(parameter: list[str]) -> list[str]:
    if "=" in parameter:
        parameter = parameter[: parameter.index("=")]
    size = parameter.index("[") if "[" in parameter else len(parameter)
    named = size > 1 and re.match(r"[^\W\d]", parameter[size - 1])
    if named and parameter[size - 2] not in {"::", "const"}:
        return parameter[: size - 1] + parameter[size:]
    return parameter


def _plain(texts: Sequence[str]) -> list[str]:
    """Without address spaces; `constant` is `const`, once."""
    result: list[str] = []
    for text in texts:
        word = "const" if text == "constant" else text
        if word not in _SPACES and not (word == "const" and result[-1:] == ["const"]):
            result.append(word)
    return result
