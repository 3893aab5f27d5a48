"""Declarations that clang takes and Metal's compiler does not, told by their words.

1. A function whose result lies in an address space: only what a pointer or reference leads to does.
2. A function with C's variable arguments, `f(int n, ...)`: Metal has templates for that.
3. The words of Metal's grammar as names: `vertex`, `fragment`, `half`.
"""

from __future__ import annotations

from collections.abc import Sequence

from foundry.msl.frontend.code import Code
from foundry.msl.frontend.refusals.refusal import Refused
from foundry.msl.frontend.tokens import NAME, NUMBER, Token

_SPACES = {"device", "thread", "threadgroup", "constant"}
_STAGES = {"vertex", "fragment"}
_TYPES_OF_GRAMMAR = {"half", "bfloat"}
_BEFORE_NAME = {"struct", "class", "union", "enum", "namespace", ".", "->"}
_BUILT_IN = {
    "void", "bool", "char", "uchar", "short", "ushort", "int", "uint", "long", "ulong", "half",
    "bfloat", "float", "auto", "unsigned", "signed", "size_t",
}  # fmt: skip
_AFTER_PARAMETERS = {"const", "volatile", "noexcept"} | _SPACES
_OF_TYPES = {"::", "<", ">", ","}
_STATEMENTS = {"return", "else", "case", "goto", "do", "new", "delete", "throw", "using", "typedef"}


def check(tokens: Sequence[Token], part: str) -> None:
    """Refuse the first such declaration of a header or body.

    Raises:
        Refused: with its line.
    """
    code = Code(tokens)
    for at, text in enumerate(code.text):
        reason = None
        if text == "(" and at in code.partner:
            reason = _variable_arguments(code, at) or _result_in_space(code, at)
        elif code.kind[at] == NAME:
            reason = _word_as_name(code, at)
        if reason:
            raise Refused(part, code.line(at), reason)


def _variable_arguments(code: Code, at: int) -> str | None:
    """`f(...)`, `f(int n, ...)`, `f(int n ...)`; a fold has no name in front, a pack one behind."""
    end = code.partner[at]
    dots = code.text[end - 3 : end] == [".", ".", "."] and end - 3 > at
    if not dots or code.kind[at - 1] != NAME or code.text[at - 1] in _STATEMENTS | {"catch"}:
        return None
    last = end - 4
    is_bare = last == at or code.text[last] == ","
    is_named = last > at + 1 and code.kind[last] == NAME and code.text[last - 1] in _BUILT_IN
    if is_bare or is_named:
        return "variable arguments are not supported in Metal"
    return None


def _result_in_space(code: Code, at: int) -> str | None:
    if code.kind[at - 1] != NAME or not _begins_function(code, at):
        return None
    first = at - 1
    while first > 0 and (
        code.kind[first - 1] in {NAME, NUMBER} or code.text[first - 1] in _OF_TYPES
    ):
        if code.text[first - 1] in _STATEMENTS:
            return None
        if code.text[first - 1] == "," and ">" not in code.text[first:at]:
            return None  # of what is not a declaration
        first -= 1
    words = code.text[first : at - 1]
    while words[:1] == ["template"]:
        words = words[_past_angles(words, 1) :]
    found = next((word for word in _outside_angles(words) if word in _SPACES), None)
    if found is None or len(words) < 2:
        return None
    return f"return type cannot be qualified with address space '{found}'"


def _begins_function(code: Code, at: int) -> bool:
    """Whether parameters, or none, stand in the parentheses, and a body or nothing after them."""
    end = code.partner[at]
    after = end + 1
    while code.text[after : after + 1] and code.text[after] in _AFTER_PARAMETERS:
        after += 1
    following = code.text[after] if after < len(code.text) else ""
    if following == "{":
        return True
    if following != ";":
        return False
    first, second = at + 1, at + 2
    if first == end:
        return True
    is_type = code.kind[first] == NAME and code.text[first] in _BUILT_IN | _SPACES | {"const"}
    is_named = code.kind[first] == NAME and code.kind[second] == NAME
    return is_named or (is_type and code.text[second] in {")", ",", "*", "&"})


def _past_angles(words: Sequence[str], at: int) -> int:
    depth = 0
    for n in range(at, len(words)):
        depth += (words[n] == "<") - (words[n] == ">")
        if depth == 0:
            return n + 1
    return len(words)


def _outside_angles(words: Sequence[str]) -> list[str]:
    found, depth = [], 0
    for word in words:
        depth -= word == ">"
        if depth == 0:
            found.append(word)
        depth += word == "<"
    return found


def _word_as_name(code: Code, at: int) -> str | None:
    word = code.text[at]
    before = code.text[at - 1] if at else ""
    if word in _STAGES and not _is_stage(code, at):
        return f"'{word}' is a word of Metal's and names nothing else"
    is_named = before in _BEFORE_NAME or (before in _BUILT_IN and code.kind[at - 1] == NAME)
    if word in _TYPES_OF_GRAMMAR and is_named:
        return f"'{word}' is a type of Metal's and names nothing else"
    return None


def _is_stage(code: Code, at: int) -> bool:
    """`vertex float4 f(...)` or `[[vertex]]`."""
    following = code.text[at + 1] if at + 1 < len(code.text) else ""
    before = code.text[at - 1] if at else ""
    if before in {"[", ","} and following in {"]", ","}:
        return True
    is_specifier = at + 1 < len(code.text) and code.kind[at + 1] == NAME
    return (is_specifier and before not in _BEFORE_NAME) or (
        following == "[" and code.text[at + 2 : at + 3] == ["["]
    )
