"""What names of types stand for: `using P = device float*;`, `typedef device float *P, *Q;`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from foundry.metal.reading.attributes import split
from foundry.msl.frontend.code import Code
from foundry.msl.frontend.tokens import NAME

_ENDS = {";", "{", "}"}
_SIGNS = {"*", "&"}
_OF_POINTERS = {"const", "volatile"}
_SCOPES = {"namespace", "struct", "class", "union"}


@dataclass(frozen=True)
class _Alias:
    words: list[str]
    """What the name stands for."""
    scope: tuple[str, ...]
    """The namespaces and classes that it is declared in."""
    is_member: bool
    """Of a class, whose name has to stand in front of it."""


Aliases = dict[str, list[_Alias]]


def aliases_of(code: Code) -> Aliases:
    """Every alias of a file by its name; those inside of functions are left out."""
    found: Aliases = {}
    for at, text in enumerate(code.text):
        if text == "using" and code.text[at + 2 : at + 3] == ["="]:
            named = [(code.text[at + 1], code.text[at + 3 : _end(code, at)])]
        elif text == "typedef":
            named = list(_typedefs(code, at + 1, _end(code, at)))
        else:
            continue
        scope = _scope(code, at)
        if scope is None:
            continue
        is_member = "namespace" not in _head(code, code.around[at]) and bool(scope)
        for name, words in named:
            found.setdefault(name, []).append(_Alias(words, scope, is_member))
    return found


def written_out(
    words: Sequence[str], aliases: Mapping[str, Sequence[_Alias]], scope: tuple[str, ...]
) -> list[str]:
    """The words of a declaration, with what its aliases stand for in their place.

    Args:
        words: Of the declaration.
        aliases: Of its file.
        scope: The namespaces that the declaration stands in.
    """
    result = list(words)
    left = dict(aliases)
    at = 0
    while at < len(result):
        meant = _meant(left.get(result[at], []), _qualifiers(result, at), scope)
        if meant is None:
            at += 1
            continue
        del left[result[at]]
        result = _replaced(result, at, meant.words)
        at = 0
    return result


def _meant(
    known: Sequence[_Alias], qualifiers: tuple[str, ...], scope: tuple[str, ...]
) -> _Alias | None:
    """The alias of a name in the nearest scope around, else one that a `using` may show."""
    for count in range(len(scope), -1, -1):
        for one in known:
            if one.scope == (*scope[:count], *qualifiers):
                return one
    shown = (one for one in known if not qualifiers or one.scope[-1:] == qualifiers[-1:])
    return next((one for one in shown if qualifiers or not one.is_member), None)


def _qualifiers(words: Sequence[str], at: int) -> tuple[str, ...]:
    """`a` and `b` of `a::b<int>::P`."""
    names: list[str] = []
    while at > 1 and words[at - 1] == "::":
        at -= 3 if words[at - 2].startswith("<") else 2
        if at < 0 or not words[at].isidentifier():
            break
        names.insert(0, words[at])
    return tuple(names)


def _scope(code: Code, at: int) -> tuple[str, ...] | None:
    """The namespaces and classes around a token; None inside of a function."""
    names: tuple[str, ...] = ()
    while (at := code.around[at]) >= 0:
        head = _head(code, at)
        keys = [n for n, word in enumerate(head) if word in _SCOPES]
        if code.text[at] != "{" or "(" in head or not (keys or "extern" in head):
            return None
        own = [word for word in head[keys[-1] + 1 :] if word.isidentifier()] if keys else []
        names = (*(own if "namespace" in head else own[:1]), *names)
    return names


def _replaced(words: list[str], at: int, meant: list[str]) -> list[str]:
    """With an alias written out, whose qualifiers and arguments go; a constant `P` points."""
    first, last = at, at + 1
    while first and words[first - 1] == "::":
        first -= 2 if first > 1 and words[first - 2].isidentifier() else 1
    if last < len(words) and words[last].startswith("<"):
        last += 1
    before = words[:first]
    if _SIGNS & set(meant):
        before = [word for word in before if word not in _OF_POINTERS]
    return [*before, *meant, *words[last:]]


def _typedefs(code: Code, first: int, end: int) -> Iterator[tuple[str, list[str]]]:
    """The names of one `typedef`, and their types: of `Q` too in `typedef float *P, *Q`."""
    common: list[str] = []
    for n, (start, last) in enumerate(split(code, first, end)):
        named = next((m for m in range(start, last) if code.text[m] == "["), last) - 1
        if named <= first - 1 or code.kind[named] != NAME:
            continue
        words = code.text[start:named]
        if n == 0:
            sign = next((m for m, word in enumerate(words) if word in _SIGNS), len(words))
            common = words[:sign]
        yield code.text[named], [*(common if n else []), *words, *code.text[named + 1 : last]]


def _end(code: Code, at: int) -> int:
    """The semicolon behind a token, outside of the braces that follow it."""
    while at < len(code.text) and code.text[at] != ";":
        at = code.partner.get(at, at) + 1
    return at


def _head(code: Code, opening: int) -> list[str]:
    """A brace and what stands in front of it; nothing for -1, which is none."""
    before = (n + 1 for n in range(opening - 1, -1, -1) if code.text[n] in _ENDS)
    return code.text[next(before, 0) : opening + 1]
