"""Calls of kernel functions: the host alone makes them, no function of the text does (MSL 5.1).

clang knows no kernels and takes such a call for one of a plain function. A kernel may have the name
of one of Metal's functions, `exp`; what is called by that name is Metal's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from foundry.msl.frontend.code import Code
from foundry.msl.frontend.refusals import functions
from foundry.msl.frontend.refusals.refusal import Refused
from foundry.msl.frontend.tokens import NAME, Token
from foundry.msl.support import AREAS

_STAGES = {"kernel", "vertex", "fragment"}
_NOT_PARAMETERS = {"__attribute__", "alignas", "decltype"}
_CLASSES = {"struct", "class", "union"}
_MEMBER = {".", "->"}
_OF_METAL = frozenset(name for names in AREAS.values() for name in names)
_STATEMENTS = {"if", "for", "while", "switch"}
_ENDS_DECLARATION = {";", ",", ")", "{", "["}
_ENDS_TYPE, _NO_TYPES = {">", "*", "&"}, {"return", "else", "do"}


@dataclass(frozen=True)
class _Function:
    """A function with a body."""

    name_at: int
    first: int
    """Where its parameters open."""
    last: int
    """Where its body ends."""


def check(tokens: Sequence[Token], part: str) -> frozenset[str]:
    """Refuse a text for the first function that calls a kernel.

    Returns:
        The names of the kernels.

    Raises:
        Refused: with the line of the call.
    """
    if not any(token.text in _STAGES for token in tokens):
        return frozenset()
    code = Code(tokens)
    kernels = list(_kernels(code))
    own = {kernel.name_at for kernel in kernels}
    others = [each for each in _defined(code) if each.name_at not in own]
    plain = {code.text[each.name_at] for each in others}
    names = frozenset(code.text[at] for at in own) - plain - _OF_METAL
    for each in (*kernels, *others):
        _check_calls(code, each.first, each.last, names - _declared_around(code, each, names), part)
    return names


def check_body(tokens: Sequence[Token], part: str, kernels: frozenset[str]) -> None:
    """Refuse the body of a kernel that calls one of these kernels.

    Raises:
        Refused: with the line of the call.
    """
    if kernels:
        code = Code(tokens)
        _check_calls(code, 0, len(code.text), kernels, part)


def _check_calls(code: Code, first: int, last: int, kernels: frozenset[str], part: str) -> None:
    named = kernels - {code.text[n] for n in range(first, last - 1) if _is_declared(code, n)}
    for at in range(first, last):
        if code.text[at] not in named or _is_of_another(code, at):
            continue
        if _arguments(code, at) is not None:
            reason = (
                f"the kernel function '{code.text[at]}' cannot be called: put what both do into a"
                " function of its own"
            )
            raise Refused(part, code.line(at), reason)


def _declared_around(code: Code, function: _Function, names: frozenset[str]) -> set[str]:
    """Which of these names the braces around a function give to something else: `Add one;`."""
    if not names:
        return set()
    braces = set(_classes_of(code, function.name_at))
    at = function.name_at
    while (at := code.around[at]) >= 0:
        braces.add(at)
    return {
        text
        for n, text in enumerate(code.text)
        if text in names and code.around[n] in braces and _is_declared(code, n)
    }


def _classes_of(code: Code, name_at: int) -> Iterator[int]:
    """The braces of the classes that a function defined outside of its class may be of."""
    if name_at == 0 or code.text[name_at - 1] != "::":
        return
    owner = functions.owner(code, name_at - 1)
    for n in range(1, name_at):
        if code.text[n] == owner and code.text[n - 1] in _CLASSES:
            opening = next((m for m in range(n, name_at) if code.text[m] in {"{", ";"}), n)
            if opening in code.partner:
                yield opening


def _is_declared(code: Code, at: int) -> bool:
    """Whether a name is one of the function's own: `auto f = ...`, `Add f;`, `T f)`."""
    following = code.text[at + 1]
    has_type = at > 0 and (code.is_name(at - 1) or code.text[at - 1] in _ENDS_TYPE)
    is_type = has_type and code.text[at - 1] not in _NO_TYPES
    return following == "=" or (is_type and following in _ENDS_DECLARATION)


def _is_of_another(code: Code, at: int) -> bool:
    """Whether a name is a member's, one of a named scope (`metal::exp`) or declared (`int sum(0)`).

    A kernel returns nothing, so that no call of it stands behind an operator.
    """
    if at == 0:
        return False
    before = code.text[at - 1]
    if before == "::":
        return at > 1 and code.is_name(at - 2) and code.text[at - 2] not in _NO_TYPES
    is_type = code.kind[at - 1] == NAME and before not in _NO_TYPES
    return is_type or before in _MEMBER or before in _ENDS_TYPE


def _kernels(code: Code) -> Iterator[_Function]:
    """Functions of the stages that a host calls, `kernel void f(...)` or `[[kernel]]`."""
    for at, text in enumerate(code.text):
        if text not in _STAGES or not code.is_name(at):
            continue
        around = code.around[at]
        is_attribute = around >= 0 and code.text[around] == "["
        if found := _function(code, code.partner.get(around, at) if is_attribute else at + 1):
            yield found


def _function(code: Code, at: int) -> _Function | None:
    """The function whose head goes on at a token; None for a declaration, or no function."""
    while at < len(code.text) and code.text[at] not in {";", "{", "}"}:
        if code.text[at] == "[" and at in code.partner:
            at = code.partner[at]
        elif code.text[at] == "(" and code.text[at - 1] not in _NOT_PARAMETERS:
            body = functions.body(code, at)
            return None if body is None else _Function(at - 1, at, code.partner[body])
        at += 1
    return None


def _defined(code: Code) -> Iterator[_Function]:
    """Everything that looks like the definition of a function."""
    for at, text in enumerate(code.text):
        if text != "(" or at == 0 or not code.is_name(at - 1) or code.text[at - 1] in _STATEMENTS:
            continue
        if (body := functions.body(code, at)) is not None:
            yield _Function(at - 1, at, code.partner[body])


def _arguments(code: Code, at: int) -> int | None:
    """Where the arguments of a call open, behind those of a template."""
    at += 1
    if at < len(code.text) and code.text[at] == "<":
        end = code.angle_end(at)
        at = len(code.text) if end is None else end + 1
    return at if at < len(code.text) and code.text[at] == "(" else None
