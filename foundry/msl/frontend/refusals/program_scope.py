"""Variables outside of functions, and static ones: `constant` or refused (MSL 4.2).

The text is walked as scopes: the program, namespaces and classes hold declarations; what stands in
the braces of a function or an initialiser is passed over, except for `static` variables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from foundry.msl.frontend.refusals.refusal import Refused
from foundry.msl.frontend.tokens import COMMENT, DIRECTIVE, NAME, SPACE, Token

_DEFINES_CONSTANT = re.compile(r"#\s*define\s+(\w+)\s[^\n]*\bconstant\b")
_NO_VARIABLE = {"using", "typedef", "static_assert", "friend", "namespace"}
_CLASSES = {"struct", "class", "union"}
_REASON = "program scope variable must reside in constant address space"
_STATIC = "static variable must reside in constant address space"
_CLOSING = {"(": ")", "[": "]", "{": "}"}


def check(tokens: Sequence[Token], part: str) -> None:
    """Refuse the first variable of a header that is not in the constant address space.

    Raises:
        Refused: with the line of its declaration.
    """
    code = _with_constants(tokens)
    for first, reason in _variables(code, _partners(code), 0, len(code), is_class=False):
        raise Refused(part, code[first].line, reason)


def check_statics(tokens: Sequence[Token], part: str) -> None:
    """Refuse a static variable of a function that is not in the constant address space.

    Raises:
        Refused: with the line of its declaration.
    """
    code = _with_constants(tokens)
    for at in _statics(code, 0, len(code) - 1):
        raise Refused(part, code[at].line, _STATIC)


def _with_constants(tokens: Sequence[Token]) -> list[Token]:
    """The tokens that mean something; macros that say `constant` say it outright."""
    names = {"MTL_CONST"}
    for token in tokens:
        if token.kind == DIRECTIVE and (found := _DEFINES_CONSTANT.match(token.text)):
            names.add(found[1])
    code = (t for t in tokens if t.kind not in {SPACE, COMMENT, DIRECTIVE})
    return [t._replace(text="constant") if t.text in names else t for t in code]


def _partners(code: Sequence[Token]) -> dict[int, int]:
    partners: dict[int, int] = {}
    open_at: list[int] = []
    for at, token in enumerate(code):
        if token.text in _CLOSING:
            open_at.append(at)
        elif open_at and token.text == _CLOSING[code[open_at[-1]].text]:
            partners[open_at.pop()] = at
    return partners


def _variables(
    code: Sequence[Token], partners: dict[int, int], start: int, end: int, is_class: bool
) -> Iterator[tuple[int, str]]:
    """First tokens of the variables of a scope that are not constant, and what to say."""
    first = at = start
    while at < end:
        text = code[at].text
        if text == ";":
            if _is_variable(code, partners, first, at, is_class):
                yield first, _REASON
            first = at + 1
        elif text == "{" and at in partners:
            close = partners[at]
            head = [code[n].text for n in _outside_angles(code, first, at)]
            if "namespace" in head or _is_linkage(code, first, at):
                yield from _variables(code, partners, at + 1, close, is_class=False)
                first = close + 1
            elif "(" not in head and _CLASSES & set(head):
                yield from _variables(code, partners, at + 1, close, is_class=True)
            elif "=" not in head and ")" in head and "enum" not in head:  # a function
                for static in _statics(code, at, close):
                    yield static, _STATIC
                first = close + 1
            at = close
        elif text in "([" and at in partners:
            at = partners[at]
        elif is_class and text == ":" and code[at - 1].text in {"public", "private", "protected"}:
            first = at + 1
        at += 1


def _is_linkage(code: Sequence[Token], first: int, at: int) -> bool:
    """Whether the head is `extern "C"` in front of a block."""
    return at == first + 2 and code[first].text == "extern"


def _is_variable(
    code: Sequence[Token], partners: dict[int, int], first: int, end: int, is_class: bool
) -> bool:
    """Whether the declaration is one of a variable outside of the constant address space."""
    if _is_instantiation([code[n].text for n in range(first, min(first + 3, end))]):
        return False
    places = list(_outside_angles(code, first, end))
    head = [code[n].text for n in places]
    while head[:1] == ["template"]:
        head = head[1:]
    if not head or head[0] in _NO_VARIABLE or "constant" in head or "operator" in head:
        return False
    if is_class and "static" not in head:
        return False
    if "}" in head and "=" not in head[: head.index("}")]:
        return _is_named_behind(head)
    if _CLASSES & set(head[:2]) or "enum" in head:  # `struct A;` is none, `struct A a;` is
        return len(head) == 3 and all(word.isidentifier() for word in head)
    if "function_constant" in head:
        return False
    declarator = head[: head.index("=")] if "=" in head else head
    if "(" in declarator or "decltype" in head[:1]:
        return False
    return sum(1 for n in places if code[n].kind == NAME) >= 2 and "concept" not in head


def _is_instantiation(head: Sequence[str]) -> bool:
    """`template kernel_t f<float>;`, whose type has another name."""
    at = int(head[:1] == ["extern"])
    return head[at : at + 1] == ["template"] and head[at + 1 : at + 2] != ["<"]


def _is_named_behind(head: Sequence[str]) -> bool:
    """Whether a name follows the braces of a type: `struct A { int a; } g;`."""
    is_type = bool((_CLASSES | {"enum"}) & set(head[: head.index("}")]))
    behind = head[head.index("}") + 1 :]
    return is_type and bool(behind) and behind[0].isidentifier() and behind[0] != "__attribute__"


def _outside_angles(code: Sequence[Token], first: int, end: int) -> Iterator[int]:
    """Tokens of a head without the template's parameters and what brackets and braces hold."""
    depth = angles = 0
    for n in range(first, end):
        text = code[n].text
        if text == "<" and depth == 0 and (n == 0 or code[n - 1].text == "template" or angles):
            angles += 1
            continue
        if angles:
            angles -= text == ">" and depth == 0
            depth += (text in _CLOSING) - (text in {")", "]", "}"})
            continue
        if text in {")", "]", "}"}:
            depth -= 1
        if depth == 0:
            yield n
        if text in _CLOSING:
            depth += 1


def _statics(code: Sequence[Token], first: int, end: int) -> Iterator[int]:
    for at in range(first, end):
        if code[at].text == "static" and code[at].kind == NAME:
            ends = (n for n in range(at, end + 1) if code[n].text in {";", "=", "(", "{"})
            stop = next(ends, end)  # a declaration may end in the middle: the compiler tells
            words = {code[n].text for n in range(at, stop)}
            is_function = code[stop].text == "("
            if not is_function and "constant" not in words and not _CLASSES & words:
                yield at
