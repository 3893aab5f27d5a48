"""What C++ has and the Metal Shading Language has not, told by its words (MSL 1.5.4).

clang would take these here without a remark: in its own dialect, in a newer C++ or for a machine
with other types. What the older language level refuses by itself is left to clang (`metal_check`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from foundry.msl.frontend.refusals.refusal import Refused
from foundry.msl.frontend.tokens import COMMENT, DIRECTIVE, NAME, NUMBER, SPACE, Token, tokenize

_WORDS = {
    "goto": "goto is not Metal",
    "register": "the storage class 'register' is not Metal",
    "thread_local": "thread_local is not Metal: a variable belongs to its thread already",
    "__thread": "__thread is not Metal: a variable belongs to its thread already",
    "_Thread_local": "_Thread_local is not Metal: a variable belongs to its thread already",
    "new": "new is not Metal: there is no memory to allocate on a GPU",
    "delete": "delete is not Metal: there is no memory to allocate on a GPU",
    "virtual": "virtual functions are not Metal",
    "dynamic_cast": "dynamic_cast is not Metal",
    "typeid": "typeid is not Metal",
    "try": "exceptions are not Metal",
    "catch": "exceptions are not Metal",
    "throw": "exceptions are not Metal",
    "__int128": "'__int128' is not supported in Metal",
    "__int128_t": "'__int128_t' is not supported in Metal",
    "__uint128_t": "'__uint128_t' is not supported in Metal",
    "__float128": "'__float128' is not supported in Metal",
    "_Complex": "'_Complex' is not supported in Metal",
    "_BitInt": "'_BitInt' is not supported in Metal",
    "_ExtInt": "'_ExtInt' is not supported in Metal",
    "_Float16": "'_Float16' is not supported in Metal: write 'half'",
    "__fp16": "'__fp16' is not supported in Metal: write 'half'",
    "__bf16": "'__bf16' is not supported in Metal: write 'bfloat'",
    "_Atomic": "'_Atomic' is not Metal: use metal::atomic",
    "__auto_type": "'__auto_type' is not Metal",
    "co_await": "coroutines are not Metal",
    "co_yield": "coroutines are not Metal",
    "co_return": "coroutines are not Metal",
}
_BEFORE_DELETED = {"="}
_LONG_DOUBLE = re.compile(r"(?:\d[\d.']*\.[\d.']*|\.\d+)(?:[eE][+-]?\d+)?[lLqQwW]")
_HALF_INTEGER = re.compile(r"\d[\d']*([hH]|bf|BF)")
_SPECIFIERS = {"int", "unsigned", "signed", "const", "volatile"}
_SPACES = {"device", "thread", "threadgroup", "constant"}
_ENGINE = re.compile(r"mf|MF_\w*|mf_\w*")


def check(tokens: Sequence[Token], part: str) -> None:
    """Refuse a text for the first word in it that is not Metal.

    Raises:
        Refused: with its line.
    """
    code = list(code_of(tokens))
    for at, token in enumerate(code):
        reason = _reason(code, at)
        if reason:
            raise Refused(part, token.line, reason)


def code_of(tokens: Sequence[Token]) -> Iterator[Token]:
    """The tokens that mean something, those of macros among them."""
    for token in tokens:
        if token.kind == DIRECTIVE and re.match(r"(?:#|%:)\s*define\b", token.text):
            inside = code_of(list(tokenize(token.text[1:])))
            yield from (t._replace(line=token.line) for t in inside)
        elif token.kind not in {SPACE, COMMENT, DIRECTIVE}:
            yield token


def check_characters(tokens: Sequence[Token], part: str) -> None:
    """Refuse what is not ASCII outside of comments: MLX hands Metal's compiler ASCII alone.

    Raises:
        Refused: at the first.
    """
    for token in tokens:
        if token.kind == COMMENT or token.text.isascii():
            continue
        at = next(n for n, sign in enumerate(token.text) if not sign.isascii())
        reason = f"'{token.text[at]}' (U+{ord(token.text[at]):04X}) is not ASCII"
        raise Refused(part, token.line + token.text.count("\n", 0, at), reason)


def check_names(tokens: Sequence[Token], part: str) -> None:
    """Refuse names that belong to the engine, in directives too.

    Raises:
        Refused: at the first.
    """
    for token in tokens:
        if token.kind in {NAME, DIRECTIVE}:
            words = re.findall(r"\w+", token.text) if token.kind == DIRECTIVE else [token.text]
            for word in words:
                if _ENGINE.fullmatch(word):
                    reason = f"'{word}': names that begin with mf_ or MF_ belong to the engine"
                    raise Refused(part, token.line, reason)


def _reason(code: Sequence[Token], at: int) -> str | None:
    token = code[at]
    following = code[at + 1].text if at + 1 < len(code) else ""
    before = code[at - 1].text if at else ""
    if token.kind == NUMBER and _LONG_DOUBLE.fullmatch(token.text):
        return f"{token.text}: Metal has no long double"
    if token.kind == NUMBER and (found := _HALF_INTEGER.fullmatch(token.text)):
        return f"invalid suffix '{found[1]}' on integer constant"
    if token.text == "(" and following == "{" and _holds_statement(code, at + 1):
        return "a statement in parentheses as an expression is not Metal"
    if token.kind != NAME:
        return None
    if token.text == "long" and (second := _second_of_long(code, at)):
        return f"'long {second}' is not supported in Metal"
    if token.text in _SPACES and _is_another_space(code, at):
        return "multiple address spaces specified for type"
    if token.text == "operator" and following in {"new", "delete"}:
        return f"operator {following} is not Metal"
    if token.text == "delete" and before in _BEFORE_DELETED:
        return None
    if token.text == "as_type" and before == "::":
        return "as_type is an operator of Metal, and belongs to no namespace"
    if token.text in _WORDS and before not in {".", "->", "::"}:
        return _WORDS[token.text]
    if token.text.startswith(("__sync", "__atomic_", "__c11_", "__nvvm_", "_mm_", "__cxa_")):
        return f"{token.text} is not Metal"
    return None


def _second_of_long(code: Sequence[Token], at: int) -> str | None:
    """The `long` or `double` that follows one among the specifiers of one type."""
    for token in code[at + 1 : at + 6]:
        if token.text in {"long", "double"}:
            return token.text
        if token.text not in _SPECIFIERS:
            return None
    return None


def _is_another_space(code: Sequence[Token], at: int) -> bool:
    """Whether a second, different address space follows among the specifiers of one type.

    `thread` is where everything lies that names no space, so that another may follow it.
    """
    if code[at].text == "thread":
        return False
    rest = (token.text for token in code[at + 1 : at + 4])
    following = next((text for text in rest if text not in {"const", "volatile"}), "")
    return following in _SPACES and following != code[at].text


def _holds_statement(code: Sequence[Token], at: int) -> bool:
    """Whether braces hold a statement, and are no list of values."""
    depth = 0
    for token in code[at:]:
        depth += (token.text == "{") - (token.text == "}")
        if token.text == ";":
            return True
        if depth == 0:
            return False
    return False
