"""Pointers and references to functions: Metal takes them as parameters of templates alone.

A name for such a type is Metal (`using F = void (*)(float);`, as MLX's `fft.h` has it for a
parameter of a template); a variable, a member or an argument of it is not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from foundry.msl.frontend.refusals.refusal import Refused
from foundry.msl.frontend.refusals.restricted import code_of
from foundry.msl.frontend.tokens import NAME, Token

_RESULTS = {
    "void", "bool", "char", "uchar", "short", "ushort", "int", "uint", "long", "ulong", "half",
    "float", "bfloat", "float2", "float3", "float4", "half2", "half4", "uint2", "T", "U", "auto",
}  # fmt: skip
"""Types in front of a declarator such as `(*f)(float)`."""
_REASON = "function pointers are not Metal"


def check(tokens: Sequence[Token], part: str, known: Collection[str] = ()) -> set[str]:
    """Refuse variables and arguments that point to functions.

    Args:
        tokens: Of a part of the text.
        part: Which one.
        known: Names for such types that the parts before it declare.

    Returns:
        All names for such types.

    Raises:
        Refused: at the first.
    """
    code = list(code_of(tokens))
    declared = dict(_aliases(code))
    inside = {at for first, last in declared for at in range(first, last)}
    names = {*known, *declared.values()}
    for at, token in enumerate(code):
        if at in inside or token.kind != NAME:
            continue
        is_pointer = token.text in names and _is_type(code, at) or _points(code, at)
        if is_pointer and not _is_of_template(code, at):
            raise Refused(part, token.line, _REASON)
    return names


def _aliases(code: Sequence[Token]) -> Iterator[tuple[tuple[int, int], str]]:
    """First and last token of `using F = T (*)(T);` or `typedef T (*F)(T);`, and the name."""
    for at, token in enumerate(code):
        if token.text not in {"using", "typedef"}:
            continue
        sign = _sign(code, at)
        if sign is None:
            continue
        named = at + 1 if token.text == "using" else sign + 1
        last = next((n for n in range(sign, len(code)) if code[n].text == ";"), len(code))
        yield (at, last), code[named].text


def _sign(code: Sequence[Token], at: int) -> int | None:
    """The `*` or `&` of `(*F)(` in the declaration of a name for a type."""
    depth = 0
    for n in range(at + 1, len(code)):
        text = code[n].text
        if text in {";", "{"}:
            return None
        signs = [t.text for t in code[n : n + 5] if t.kind != NAME][:4]
        if depth == 0 and text == "(" and signs in (list("(*)("), list("(&)(")):
            return n + 1
        depth += (text in {"(", "<", "["}) - (text in {")", ">", "]"})
    return None


def _is_type(code: Sequence[Token], at: int) -> bool:
    """Whether a name, or `name<...>`, stands in front of the name of a variable."""
    depth = 0
    for token in code[at + 1 :]:
        depth += (token.text == "<") - (token.text in {">", ">>"}) * len(token.text)
        if token.text in {";", "{", "}"}:
            return False
        if depth == 0 and token.text not in {">", ">>"}:
            return token.kind == NAME
    return False


def _points(code: Sequence[Token], at: int) -> bool:
    """`float (*f)(float)`, `float (&f[2])(float)`, behind a type that is known here."""
    texts = [t.text for t in code[at + 1 : at + 3]]
    if texts not in (["(", "*"], ["(", "&"]) or code[at].text not in _RESULTS:
        return False
    if [t.text for t in code[at + 3 : at + 5]] == [")", "("]:
        return True
    end = at + 4
    while end < len(code) and code[end].text == "[":
        end = next((n for n in range(end, len(code)) if code[n].text == "]"), len(code)) + 1
    return [t.text for t in code[end : end + 2]] == [")", "("] and code[at + 3].kind == NAME


def _is_of_template(code: Sequence[Token], at: int) -> bool:
    """Whether a token stands among the parameters of a template, where functions may be named."""
    depth = 0
    for n in range(at - 1, -1, -1):
        text = code[n].text
        depth += (text in {">", ")", "]"}) - (text in {"<", "(", "["})
        if depth < 0:
            return text == "<" and n > 0 and code[n - 1].text == "template"
        if text in {";", "{", "}"}:
            return False
    return False
