"""What names of types stand for: `using P = device float*;`, `typedef device float *P, *Q;`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from foundry.metal.attributes import split
from foundry.msl.frontend.code import Code
from foundry.msl.frontend.tokens import NAME

_ENDS = {";", "{", "}"}
_SIGNS = {"*", "&"}
_OF_POINTERS = {"const", "volatile"}


@dataclass(frozen=True)
class _Alias:
    words: list[str]
    """What the name stands for."""
    around: list[str]
    """The head of the namespace or class that it is declared in."""

    def is_seen(self, qualifier: str) -> bool:
        """Whether a kernel's parameter may name it, behind this name and `::`."""
        return not self.around or "namespace" in self.around or qualifier in self.around


Aliases = dict[str, list[_Alias]]


def aliases_of(code: Code) -> Aliases:
    """Every alias of a file by its name."""
    found: Aliases = {}
    for at, text in enumerate(code.text):
        if text == "using" and code.text[at + 2 : at + 3] == ["="]:
            named = [(code.text[at + 1], code.text[at + 3 : _end(code, at)])]
        elif text == "typedef":
            named = list(_typedefs(code, at + 1, _end(code, at)))
        else:
            continue
        for name, words in named:
            found.setdefault(name, []).append(_Alias(words, _head(code, code.around[at])))
    return found


def written_out(words: Sequence[str], aliases: Mapping[str, Sequence[_Alias]]) -> list[str]:
    """The words of a declaration, with what its aliases stand for in their place."""
    result = list(words)
    left = dict(aliases)
    at = 0
    while at < len(result):
        qualifier = result[at - 2] if at > 1 and result[at - 1] == "::" else ""
        known = [one for one in left.get(result[at], []) if one.is_seen(qualifier)]
        if not known:
            at += 1
            continue
        del left[result[at]]
        meant = min(known, key=lambda one: qualifier not in one.around)
        result = _replaced(result, at, meant.words)
        at = 0
    return result


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
