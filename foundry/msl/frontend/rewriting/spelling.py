"""Small rewrites of Metal's own spellings that C++ does not know.

* `1.5h` and `1.5bf` are literals of half and bfloat.
* `1ull` is an `unsigned long`: there is no longer type.
* A member function may name the address space of its object: `float get() const thread { ... }`.
  The words vanish as macros, except that `constant` would turn into `const`.
* `coherent(device) device float* p`: memory is coherent here anyway.
* The attribute `[[threadgroup(0)]]` is no threadgroup declaration.
* An explicit instantiation may have attributes: `template [[host_name("f")]] [[kernel]] ...`.
"""

from __future__ import annotations

import re

from foundry.msl.frontend.tokens import (
    COMMENT,
    DIRECTIVE,
    NAME,
    NUMBER,
    SPACE,
    Token,
    tokenize,
)

_LITERAL = re.compile(r"(?P<digits>\.?\d[\d.']*(?:[eE][+-]?\d+)?)(?P<suffix>h|H|bf|BF)")
_LONG_LONG = re.compile(r"(?P<digits>0[xX][\da-fA-F']+|\d[\d']*)(?P<u>[uU]?)(?:ll|LL)(?P<U>[uU]?)")
_HIDDEN_LITERAL = re.compile(
    r"\d(?:h|H|bf|BF)\b|\.(?:h|H|bf|BF)\b|\b\d[\da-fA-FxX']*[uU]?(?:ll|LL)[uU]?\b"
)
_HIDDEN_INSTANTIATION = re.compile(r"\btemplate\s*(?:\[\[(?:[^]\"]|\"[^\"]*\")*\]\]\s*)+")
_SCOPES = (["device"], ["threadgroup"], ["system"])
_QUALIFIERS = {"const", "volatile", "noexcept", "device", "thread", "threadgroup", "constant"}


def respell(tokens: list[Token]) -> list[Token]:
    """The tokens in C++'s spelling, on the same lines."""
    result = []
    gone_until = 0
    for at, token in enumerate(tokens):
        if token.kind == NAME and token.text == "coherent":
            gone_until = _coherent_end(tokens, at)
        elif token.text == "[" and at >= gone_until and _before(tokens, at) == "template":
            gone_until = _attributes_end(tokens, at)
        if at < gone_until:
            result.append(token._replace(kind=SPACE, text="\n" * token.text.count("\n")))
        elif token.kind == NUMBER:
            result.append(_number(token))
        elif token.kind == DIRECTIVE and _HIDDEN_LITERAL.search(token.text):
            inside = "".join(_number(inner).text for inner in tokenize(token.text[1:]))
            result.append(token._replace(text=token.text[0] + inside))
        elif token.kind == DIRECTIVE and "template" in token.text:
            text = _HIDDEN_INSTANTIATION.sub("template ", token.text)
            result.append(token._replace(text=text))
        elif token.text == "threadgroup" and _is_attribute(tokens, at):
            result.append(token._replace(text="threadgroup_index"))
        else:
            result.append(token)
    return result


def without_object_space(tokens: list[Token]) -> list[Token]:
    """The tokens without the `constant` of member functions, for a text that runs."""
    return [
        t._replace(kind=SPACE, text=" ")
        if t.text == "constant" and t.kind == NAME and _qualifies_object(tokens, at)
        else t
        for at, t in enumerate(tokens)
    ]


def _texts(tokens: list[Token]) -> list[str]:
    return [token.text for token in tokens]


def _coherent_end(tokens: list[Token], at: int) -> int:
    """The token after `coherent` or `coherent(device)` at `at`; 0 for a plain name."""
    code = [n for n in range(at + 1, len(tokens)) if tokens[n].kind not in (SPACE, COMMENT)][:3]
    after = [tokens[n].text for n in code]
    if after[:1] == ["("] and after[1:2] in _SCOPES and after[2:] == [")"]:
        return code[2] + 1
    return at + 1 if after[:1] in (["device"], ["threadgroup"]) else 0


def _is_attribute(tokens: list[Token], at: int) -> bool:
    """Whether a word with arguments stands in a list of attributes: `[[ threadgroup(0) ]]`."""
    after = (t.text for t in tokens[at + 1 :] if t.kind not in (SPACE, COMMENT))
    return _before(tokens, at) in {"[", ","} and next(after, "") == "("


def _before(tokens: list[Token], at: int) -> str:
    before = (tokens[n] for n in range(at - 1, -1, -1))
    return next((t.text for t in before if t.kind not in (SPACE, COMMENT)), "")


def _attributes_end(tokens: list[Token], at: int) -> int:
    """The token after the `[[...]]` lists that begin at `at`."""
    depth = 0
    end = at
    for index in range(at, len(tokens)):
        token = tokens[index]
        if depth == 0 and token.text != "[" and token.kind not in (SPACE, COMMENT):
            break
        depth += (token.text == "[") - (token.text == "]")
        if depth == 0 and token.text == "]":
            end = index + 1
    return end


def _number(token: Token) -> Token:
    if token.kind == NUMBER and (long := _LONG_LONG.fullmatch(token.text)):
        return token._replace(text=f"{long['digits']}{long['u'] or long['U']}l")
    match = _LITERAL.fullmatch(token.text) if token.kind == NUMBER else None
    if match is None:
        return token
    digits, kind = match["digits"], "half" if match["suffix"] in "hH" else "bfloat"
    value = f"{digits}f" if set(digits) & set(".eE") else digits
    return token._replace(text=f"{kind}({value})")


def _qualifies_object(tokens: list[Token], at: int) -> bool:
    """Whether a word stands between a function's parameters and its body."""
    for token in (tokens[n] for n in range(at - 1, -1, -1)):
        if token.kind in {SPACE, COMMENT} or token.text in _QUALIFIERS:
            continue
        if token.text != ")":
            return False
        break
    for token in (tokens[n] for n in range(at + 1, len(tokens))):
        if token.kind in {SPACE, COMMENT} or token.text in _QUALIFIERS:
            continue
        return token.text in {"{", ":", ";", "->", "="}
    return False
