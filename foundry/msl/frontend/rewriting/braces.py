"""Counts what braces hold, for the pass that judges a kernel.

A vector of N components takes at most N values. As a class it is told that by its list alone, whose
length the compiler knows where all values are constant; so the text says it for the other ones:
`float2 v = {a, b, c}` is followed by a check of `v`, and `float2{a, b, c}` begins with one.
"""

from __future__ import annotations

from foundry.msl.frontend.code import Code
from foundry.msl.frontend.tokens import NAME, Token

_FEWEST = 3
"""Every vector takes two values."""
_NO_TYPES = {
    "struct", "class", "union", "enum", "return", "else", "do", "try", "const", "constexpr",
    "namespace", "auto",
}  # fmt: skip


def counted(tokens: list[Token]) -> list[Token]:
    """As many tokens, with checks of how many values stand in braces."""
    code = Code(tokens)
    changed: dict[int, str] = {}
    for at, text in enumerate(code.text):
        if text != "{" or at < 2 or (count := _count(code, at)) < _FEWEST:
            continue
        end = code.partner[at] + 1
        if (name := _declared(code, at)) is not None:
            if code.text[end : end + 1] == [";"]:
                check = f"; static_assert(mf::takes<decltype({name}), {count}>, MF_EXCESS);"
                changed[code.at[end]] = check
        elif (start := _type_start(code, at)) is not None:
            first, last = code.at[start], code.at[at - 1]
            changed[first] = f"mf::taking<{code.text[start]}"
            changed[last] = f"{changed.get(last, code.text[at - 1])}, {count}>"
    return [t._replace(text=changed[n]) if n in changed else t for n, t in enumerate(tokens)]


def _count(code: Code, at: int) -> int:
    """How many values stand in the braces; 0 where statements do."""
    if at not in code.partner:
        return 0
    count, n, end = 1, at + 1, code.partner[at]
    while n < end:
        if code.text[n] in "([{" and n in code.partner:
            n = code.partner[n]
        elif code.text[n] == ";":
            return 0
        elif code.text[n] in {"<", "."}:  # perhaps template arguments, perhaps a pack
            return (
                0 if code.text[n : n + 3] == [".", ".", "."] else _plain_count(code, n, end, count)
            )
        else:
            count += code.text[n] == ","
        n += 1
    return count - (code.text[end - 1] == ",")


def _plain_count(code: Code, at: int, end: int, count: int) -> int:
    """The rest of a count: what stands in angle brackets is one value."""
    n = at
    while n < end:
        if code.text[n] in "([{" and n in code.partner:
            n = code.partner[n]
        elif code.text[n] == "<" and (close := code.angle_end(n)) is not None and close < end:
            n = close
        elif code.text[n] == ";" or code.text[n : n + 3] == [".", ".", "."]:
            return 0
        else:
            count += code.text[n] == ","
        n += 1
    return count - (code.text[end - 1] == ",")


def _declared(code: Code, at: int) -> str | None:
    """The variable that the braces initialise: `T v = {`, `T v{`."""
    name = at - 2 if code.text[at - 1] == "=" else at - 1
    if code.kind[name] != NAME or name == 0 or code.text[name] in _NO_TYPES:
        return None
    before = name - 1
    is_type = code.kind[before] == NAME or code.text[before] == ">"
    return code.text[name] if is_type and code.text[before] not in _NO_TYPES else None


def _type_start(code: Code, at: int) -> int | None:
    """Where the type begins in `float2{`, `vec<T, 2>{`, `metal::float2{` of an expression."""
    start = at - 1
    if code.text[start] == ">":
        depth = 0
        while start > 0 and code.text[start] not in {";", "{", "}"}:
            depth += (code.text[start] == ">") - (code.text[start] == "<")
            start -= 1
            if depth == 0:
                break
    if code.kind[start] != NAME or code.text[start] in _NO_TYPES:
        return None
    while start > 1 and code.text[start - 1] == "::" and code.kind[start - 2] == NAME:
        start -= 2
    before = code.text[start - 1]
    if before == ",":  # of arguments: a constructor's initialisers have members in front of braces
        return start if code.call_around(start - 1) is not None else None
    return start if before in {"=", "(", "return", "+", "-", "*", "/", "?", "{"} else None
