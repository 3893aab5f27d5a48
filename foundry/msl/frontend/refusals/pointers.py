"""Finds pointers and references without an address space, and variables outside of functions.

MSL 4: "the address space attribute is required" for every pointer and reference, and a variable of
program scope is in the `constant` address space. clang knows neither rule, so both are read off the
tokens: a type's name in front of `*` or `&` is a declarator, whatever stands around it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from foundry.msl.frontend.refusals.refusal import Refused
from foundry.msl.frontend.tokens import COMMENT, DIRECTIVE, NAME, SPACE, Token

_SPACES = {"device", "thread", "threadgroup", "constant", "threadgroup_imageblock", "object_data"}
_SCALARS = (
    "bool", "char", "uchar", "short", "ushort", "int", "uint", "long", "ulong", "half",
    "bfloat", "float", "void", "unsigned", "signed", "size_t", "int8_t", "uint8_t", "int16_t",
    "uint16_t", "int32_t", "uint32_t", "int64_t", "uint64_t", "ptrdiff_t", "float16_t",
    "bfloat16_t", "complex64_t", "wchar_t", "char16_t", "char32_t",
)  # fmt: skip
_VECTORS = [f"{name}{size}" for name in _SCALARS[:12] for size in "234"]
_MATRICES = [f"{name}{a}x{b}" for name in ("float", "half", "bfloat") for a in "234" for b in "234"]
_OTHERS = (
    *(f"atomic_{name}" for name in ("bool", "int", "uint", "long", "ulong", "float")),
    *(f"simdgroup_{name}8x8" for name in ("float", "half", "bfloat")),
)
_BUILT_IN = frozenset(
    [*_SCALARS, *_VECTORS, *(f"packed_{name}" for name in _VECTORS), *_MATRICES, *_OTHERS]
)
_TEMPLATES = frozenset({"vec", "atomic", "complex_t", "simdgroup_matrix", "array", "matrix"})
_TYPE_KEYS = {"struct", "class", "union", "enum"}
_OPEN, _CLOSE = {"(": ")", "[": "]", "{": "}"}, {")", "]", "}"}


@dataclass(frozen=True)
class _Words:
    """The tokens that mean something."""

    tokens: Sequence[Token]

    def text(self, at: int) -> str:
        return self.tokens[at].text if 0 <= at < len(self.tokens) else ""

    @cached_property
    def type_parameters(self) -> dict[str, list[int]]:
        """Where each name follows `typename` or `class`, in order."""
        found: dict[str, list[int]] = {}
        for at, token in enumerate(self.tokens):
            if self.text(at - 1) in {"typename", "class"}:
                found.setdefault(token.text, []).append(at)
        return found


def check(
    tokens: Sequence[Token], part: str, known: frozenset[str] = frozenset()
) -> frozenset[str]:
    """Refuse the first pointer or reference without an address space.

    Args:
        tokens: Of a header or body.
        part: Which of them.
        known: Names of types that the header declared.

    Returns:
        Names of types that are known after this text.

    Raises:
        Refused: at the first such declarator.
    """
    code = _Words([t for t in tokens if t.kind not in {SPACE, COMMENT, DIRECTIVE}])
    types = known | frozenset(_declared(code))
    spaced = frozenset(_spaced(code))
    for at in range(1, len(code.tokens)):
        sign = code.text(at)
        if sign not in {"*", "&", "&&"}:
            continue
        first = _type_before(code, at, types)
        if first is None and _of_array(code, at):
            first = _type_before(code, at - 1, types)
        if first is None or code.text(at - 1) in spaced:
            continue
        if not _has_space(code, first, at):
            kind = "pointer" if sign == "*" else "reference"
            reason = f"{kind} type must have explicit address space qualifier"
            raise Refused(part, code.tokens[at].line, reason)
    return types


def _of_array(code: _Words, at: int) -> bool:
    """`(*row)[4]`, `(&row)[4]`, `(*)[4]`: a declarator of what leads to an array."""
    named = code.text(at + 1) not in {")", ""}
    name, end = (code.tokens[at + 1].kind, at + 2) if named else (NAME, at + 1)
    is_array = name == NAME and code.text(end) == ")" and code.text(end + 1) == "["
    return code.text(at - 1) == "(" and is_array


def _declared(code: _Words) -> Iterator[str]:
    """Names of classes, enumerations and aliases; those of templates' parameters are left out."""
    for at in range(len(code.tokens)):
        word = code.text(at)
        if code.tokens[at].kind != NAME:
            continue
        if word in _TYPE_KEYS and code.text(at + 2) in {"{", ":", "final"}:
            yield code.text(at + 1)
        if word == "class" and code.text(at - 1) == "enum":
            yield code.text(at + 1)
        if word == "typedef" and (name := _typedef_name(code, at)):
            yield name
        if word == "using" and code.text(at + 2) == "=":
            yield code.text(at + 1)


def _typedef_name(code: _Words, at: int) -> str | None:
    """The name that a typedef without a space of its own declares; None for other forms."""
    depth, end = 0, at
    while code.text(end) and (depth or code.text(end) != ";"):
        depth += (code.text(end) == "{") - (code.text(end) == "}")
        end += 1
    inside = {code.text(n) for n in range(at, end)}
    is_plain = code.text(end - 2) not in {"*", "&", ",", ")"} and code.text(end - 1).isidentifier()
    return code.text(end - 1) if is_plain and not _SPACES & inside else None


def _spaced(code: _Words) -> Iterator[str]:
    """Aliases of types that name an address space themselves."""
    for at in range(len(code.tokens)):
        if code.text(at) == "using" and code.text(at + 2) == "=":
            end = at
            while code.text(end) not in {";", ""}:
                end += 1
            if _SPACES & {code.text(n) for n in range(at, end)}:
                yield code.text(at + 1)


def _type_before(code: _Words, at: int, types: frozenset[str]) -> int | None:
    """First token of the type whose declarator begins at `at`; None where none is in front."""
    last = at - 1
    while code.text(last) in {"const", "volatile"}:
        last -= 1
    if (first := _type_of_words(code, last)) is not None:
        return first
    name = last
    if code.text(last) == ">":
        opened = _angle_start(code, last)
        if opened is None:
            return None
        name = opened - 1
        if code.text(name) not in types | {
            "vec",
            "atomic",
            "complex_t",
            "simdgroup_matrix",
            "array",
        }:
            return None
    elif not (
        code.text(last) in _BUILT_IN or code.text(last) in types or _is_parameter(code, last)
    ):
        return None
    if code.tokens[name].kind != NAME:
        return None
    while code.text(name - 1) == "::":
        name -= 2
    if code.text(name - 1) == "->" and code.text(name - 2) == ")" and code.text(last) in _BUILT_IN:
        return name  # a result that is named behind the parameters
    if code.text(name - 1) in {".", "->"}:
        return None
    return name


def _type_of_words(code: _Words, last: int) -> int | None:
    """First token of `decltype(f)` or `typename X<T>::type` that ends at `last`."""
    if code.text(last) == ")":
        opening = _opening(code, last)
        is_decltype = opening is not None and code.text(opening - 1) == "decltype"
        return opening - 1 if opening is not None and is_decltype else None
    at = last
    while code.tokens[at].kind == NAME and code.text(at - 1) == "::":
        at -= 2
        if code.text(at) == ">" and (opened := _angle_start(code, at)) is not None:
            at = opened - 1
        at -= code.text(at - 1) == "template"
        if code.text(at - 1) == "typename":
            return at - 1
    return None


def _opening(code: _Words, at: int) -> int | None:
    """The parenthesis that `)` closes."""
    depth = 0
    for n in range(at, -1, -1):
        depth += (code.text(n) == ")") - (code.text(n) == "(")
        if depth == 0:
            return n
    return None


def _is_parameter(code: _Words, at: int) -> bool:
    """Whether a name is a type parameter of the template that the declaration belongs to."""
    places = code.type_parameters.get(code.text(at), [])
    before = bisect_left(places, at)
    return before > 0 and _scope_reaches(code, places[before - 1], at)


def _scope_reaches(code: _Words, parameter: int, at: int) -> bool:
    """Whether the declaration that a template parameter is for still goes on at `at`."""
    depth = 0
    for n in range(parameter, at):
        text = code.text(n)
        if text in _OPEN:
            depth += 1
        elif text in _CLOSE:
            depth -= 1
            if depth == 0 and text == "}" and code.text(n + 1) != ";":
                return False
        elif text == ";" and depth == 0:
            return False
        if depth < 0:
            return False
    return True


def _angle_start(code: _Words, at: int) -> int | None:
    depth = 0
    while at >= 0 and code.text(at) not in {";", "{", "}"}:
        depth += (code.text(at) == ">") - (code.text(at) == "<")
        if depth == 0:
            return at
        at -= 1
    return None


def _has_space(code: _Words, first: int, at: int) -> bool:
    """Whether an address space is among the specifiers from before the type to the declarator."""
    if any(code.text(n) in _SPACES for n in range(first, at)):
        return True
    n = first - 1
    while n >= 0:
        text = code.text(n)
        if text in _SPACES:
            return True
        if text == ")" and code.text(n - 2) == "(" and code.text(n - 3) == "coherent":
            n -= 4
        elif code.tokens[n].kind == NAME and text not in {"return", "else"}:
            n -= 1
        else:
            return False
    return False
