"""A kernel's text as Metal's compiler reads it, for the pass that judges it and runs nothing.

Address spaces keep their meaning; what only a Metal compiler parses is respelt for clang:

1. Spaces that qualify a member function go (`methods`), and with them the later of two members that
   are one.
2. `threadgroup` variables become static, since clang has no automatic ones outside of `thread`.
3. A parameter declared as an array in an address space is the pointer that it is.
4. Casts to pointers go through `mf::cast` (`prelude/metal_spaces.h`), which keeps to the space.
5. What is indexed in `&p[i]` and `float& r = p[i]` goes through `mf::indexed`
   (`prelude/metal_vector.h`): a component of a vector has no address.
6. What `thread auto&` and `thread auto*` are set to goes through `mf::of_thread`: clang's `auto`
   may be any space.
7. Texts lie in `constant` (`texts`), and braces say how many values they hold (`braces`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from foundry.msl.frontend.language import Language
from foundry.msl.frontend.refusals import methods
from foundry.msl.frontend.rewriting import braces, texts, threadgroup, twins
from foundry.msl.frontend.rewriting.elements import with_indexed
from foundry.msl.frontend.signature import Signature
from foundry.msl.frontend.tokens import COMMENT, DIRECTIVE, NAME, NUMBER, SPACE, Token

_SPACES = {"device", "thread", "threadgroup", "constant"}
_KEYWORDS = {"return", "else", "case", "do", "and", "or", "not"}
_BINDS_TIGHTER = {")", "!", "~"}
"""Before `*(device T*)p`: `(float)*(device T*)p` would cast what `->*` is to take."""
_STARTS_OPERAND = {"(", "&", "*", "~", "-"}


def parts_of(header: Sequence[Token], body: Sequence[Token]) -> dict[str, list[Token]]:
    """The tokens to judge, each of which knows where the user wrote it."""
    return {"header": _spelt(header, "header"), "source": _spelt(body, "source")}


def text_of(
    signatures: Sequence[Signature], parts: Mapping[str, Sequence[Token]], language: Language
) -> str:
    """The unit to judge: the header, and signature and body of each kernel, on their own lines."""
    texts = (f'#line 1 "{part}"\n{_joined(tokens)}' for part, tokens in parts.items())
    header, body = texts
    return _unit(signatures, header, body, language)


def lines_of(
    signature: Signature,
    header: Sequence[Token],
    body: Sequence[Token],
    language: Language,
    marks: Mapping[int, str],
) -> str:
    """The unit with every token on the line that is its index, and marks before some of them."""
    texts = (
        _lines(_spelt(header, "header"), "header", marks),
        _lines(_spelt(body, "source"), "source", {}),
    )
    return _unit([signature], *texts, language)


def _unit(signatures: Sequence[Signature], header: str, body: str, language: Language) -> str:
    kernels = (_kernel(signature, body) for signature in signatures)
    return "\n".join(['#line 1 "language"', language.macros() + header, *kernels])


def _kernel(signature: Signature, body: str) -> str:
    parameters = ", ".join(f"{p.type} {p.name}" for p in signature.parameters)
    head = f"{signature.template} static void {signature.kernel}({parameters}) {{"
    use = ""
    if signature.arguments:
        name = f"{signature.kernel}{signature.arguments}"
        use = f"template decltype({name}) {name};"
    return "\n".join(['#line 1 "signature"', head, body, '#line 1 "launch"', f"}}\n{use}\n"])


def _joined(tokens: Sequence[Token]) -> str:
    return "".join(token.text for token in tokens)


def _lines(tokens: Sequence[Token], part: str, marks: Mapping[int, str]) -> str:
    lines = [f'#line 0 "{part}"']
    for at, token in enumerate(tokens):
        if token.kind in (SPACE, COMMENT):
            lines.append("")
        elif token.kind == DIRECTIVE:
            lines.append(" ".join(token.text.split("\n")))
        else:
            lines.append(f"{marks.get(at, '')}{token.text}")
    return "\n".join(lines)


def _spelt(tokens: Sequence[Token], part: str) -> list[Token]:
    """As many tokens, each where it was, and a comment on member functions at the end."""
    respelt = twins.remove_members(methods.without_spaces(tokens))
    placed = _with_casts(_with_pointers(_with_statics(texts.in_constant(respelt), part)))
    spelt = braces.counted(_with_autos(with_indexed(placed)))
    told = methods.comments(methods.stated(tokens, part))
    return [*spelt, Token(COMMENT, f"\n{told}", tokens[-1].line)] if told else spelt


def _code(tokens: Sequence[Token]) -> list[int]:
    return [n for n, t in enumerate(tokens) if t.kind not in (SPACE, COMMENT, DIRECTIVE)]


def _with_statics(tokens: Sequence[Token], part: str) -> list[Token]:
    result = list(tokens)
    for at, token in enumerate(tokens):
        if token.kind == NAME and token.text == "threadgroup":
            span = threadgroup.declaration(tokens, at, part)
            words = {t.text for t in tokens[span[0] : at]} if span else {"static"}
            if not words & {"static", "extern"}:
                result[at] = token._replace(text="static threadgroup")
    return result


def _with_autos(tokens: list[Token]) -> list[Token]:
    """`thread auto& r = v` as `thread auto& r = mf::of_thread() ->* (v)`."""
    code = _code(tokens)
    text = [tokens[n].text for n in code]
    result = list(tokens)
    for at in range(1, len(text) - 3):
        sign = at + 1
        while text[sign] in {"const", "thread"} and sign < len(text) - 3:
            sign += 1
        if text[at] != "auto" or text[sign] not in {"&", "*"} or text[sign + 2] != "=":
            continue
        end = _end_of_value(text, sign + 3)
        if "thread" in text[max(at - 2, 0) : sign] and end is not None:
            made = "of_thread" if text[sign] == "&" else "leads_to_thread"
            equals, after = code[sign + 2], code[end]
            result[equals] = tokens[equals]._replace(text=f"= mf::{made}() ->* (")
            result[after] = tokens[after]._replace(text=f"){text[end]}")
    return result


def _end_of_value(text: list[str], at: int) -> int | None:
    """The comma or semicolon after an initialiser; None where it is one in braces."""
    depth = 0
    for end in range(at, len(text)):
        depth += sum((sign in "([{") - (sign in ")]}") for sign in text[end])
        if depth < 0 or (end == at and text[at] == "{"):
            return None
        if depth == 0 and text[end] in {",", ";"}:
            return end
    return None


def _with_pointers(tokens: list[Token]) -> list[Token]:
    """`device float a[4]` of a parameter as `device float (*a)`."""
    code = _code(tokens)
    text = [tokens[n].text for n in code]
    changed: dict[int, str] = {}
    for at in range(2, len(text) - 2):
        if text[at] != "[" or tokens[code[at - 1]].kind != NAME:
            continue
        end = text.index("]", at) if "]" in text[at:] else at
        if text[end + 1 : end + 2] not in ([","], [")"], ["["]) or not _is_parameter(text, at - 1):
            continue
        changed[code[at - 1]] = f"(*{text[at - 1]})"
        changed |= dict.fromkeys(range(code[at], code[end] + 1), "")
    return [t._replace(text=changed[n]) if n in changed else t for n, t in enumerate(tokens)]


def _is_parameter(text: list[str], name: int) -> bool:
    """Whether a declaration with an address space leads from a `(` or `,` to a name."""
    start = name
    while start > 0 and (text[start - 1].isidentifier() or text[start - 1] in {"::", "<", ">"}):
        start -= 1
    return text[start - 1] in {"(", ","} and bool(_SPACES & set(text[start:name]))


def _with_casts(tokens: list[Token]) -> list[Token]:
    code = _code(tokens)
    text = [tokens[n].text for n in code]
    changed: dict[int, str] = {}
    closing: dict[int, int] = {}  # parentheses behind the operand of a `reinterpret_cast`
    for at in range(1, len(text) - 1):
        if text[at] == "(":
            end = _cast_end(tokens, code, text, at)
            if end is not None:
                changed[code[at]] = "mf::cast<"
                changed[code[end]] = ">() ->* "
        elif text[at] == "reinterpret_cast" and text[at + 1] == "<":
            end = _angle_end(text, at + 1)
            last = None if end is None else _partner(text, end + 1)
            if end is not None and last is not None and "*" in text[at:end]:
                changed[code[at]] = "(mf::cast"
                changed[code[end]] = ">() ->* "
                closing[code[last]] = closing.get(code[last], 0) + 1
    changed |= {n: changed.get(n, ")") + ")" * count for n, count in closing.items()}
    return [t._replace(text=changed[n]) if n in changed else t for n, t in enumerate(tokens)]


def _partner(text: list[str], at: int) -> int | None:
    """The `)` that closes the `(` at `at`."""
    depth = 0
    for end in range(at, len(text)):
        depth += (text[end] == "(") - (text[end] == ")")
        if depth == 0:
            return end
    return None


def _cast_end(tokens: list[Token], code: list[int], text: list[str], at: int) -> int | None:
    """The `)` of a cast to a pointer that names its space, which begins at `at`."""
    before = tokens[code[at - 1]]
    if (before.kind == NAME and before.text not in _KEYWORDS) or before.text in {">", "]", ")"}:
        return None
    if before.text == "*" and text[at - 2] in _BINDS_TIGHTER:
        return None
    end = at + 1
    while end < len(text) and (tokens[code[end]].kind in (NAME, NUMBER) or text[end] in "<>,::*"):
        end += 1
    inside = text[at + 1 : end]
    if end + 1 >= len(text) or text[end] != ")" or not _SPACES & set(inside):
        return None
    if not inside or inside[-1] not in {"*", "const"} or "*" not in inside:
        return None
    operand = tokens[code[end + 1]]
    if operand.kind in (NAME, NUMBER) or operand.text in _STARTS_OPERAND:
        return end
    return None


def _angle_end(text: list[str], at: int) -> int | None:
    depth = 0
    for end in range(at, len(text)):
        depth += (text[end] == "<") - (text[end] == ">")
        if depth == 0:
            return end
        if text[end] in {";", "{"}:
            return None
    return None
