"""From a generated Metal kernel to one C++ translation unit for a CPU target.

1. Header and body are read as tokens and checked: what reaches outside the kernel is refused;
   spellings that C++ does not know are respelt.
2. If macros hide what the next steps look for, the preprocessor expands both parts first.
   Functions that differ by address space alone become one (`twins`).
3. `threadgroup` declarations are rewritten; collectives, calls and loops around them numbered;
   writes that count on lanes in lockstep let other threads pass first; shifts are masked.
   Every token stays on its line, so the compiler's messages stand on the user's own lines.
4. How the kernel runs is decided: as a plain loop over threads when nothing in it synchronises,
   else one fibre per thread; the entry functions the runtime calls are added.

Ownership: `tokens` knows the lexical rules, `refusal` what is refused; `spelling`, `threadgroup`,
`convergence`, `lockstep` and `shifts` do one rewrite each, `entry` the functions around the kernel,
`signature` what MLX put around the user's text, `spaces` what Metal's address spaces forbid,
`variants` what need not be compiled again for another workload. Nothing here runs a process; the
preprocessor is handed in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from foundry.msl.frontend import as_metal, variants
from foundry.msl.frontend.entry import FIBRES, entry, kernel_head, loop_mode
from foundry.msl.frontend.expansion import Preprocess, expand
from foundry.msl.frontend.language import Language
from foundry.msl.frontend.metal_texts import MetalTexts, texts_to_judge
from foundry.msl.frontend.refusals import (
    attributes,
    declarations,
    function_pointers,
    kernels,
    pointers,
    program_scope,
    restricted,
    spaces,
)
from foundry.msl.frontend.refusals.refusal import Refused, refuse, unsupported
from foundry.msl.frontend.rewriting import (
    convergence,
    lockstep,
    overloads,
    shifts,
    threadgroup,
    twins,
)
from foundry.msl.frontend.rewriting.convergence import Place, functions_of
from foundry.msl.frontend.rewriting.spelling import respell, without_object_space
from foundry.msl.frontend.rewriting.threadgroup import Storage
from foundry.msl.frontend.signature import Signature
from foundry.msl.frontend.tokens import (
    COMMENT,
    DIRECTIVE,
    SPACE,
    STRING,
    Token,
    join_lines,
    tokenize,
)

_CONSTANT = re.compile(r"\bconstant\b.*\*$")
_WORD = re.compile(r"\w+")
_NEEDS_FIBRES = re.compile(
    r"\b(?:simd_|quad_|threadgroup_barrier|schedule_row_tile|make_(?:filled|diagonal)_simdgroup"
    r"|simdgroup_(?!index_in_threadgroup\b))"
)
_HIDDEN_IN_MACROS = re.compile(
    r"##|%:%:|\bthreadgroup\b|\b(?:simd|quad|simdgroup)_|threadgroup_barrier|__attribute"
)

_TEXT_LENGTH = 1_000_000

Resolve = Callable[[str], str]


@dataclass(frozen=True)
class Unit:
    """A translation unit, and what is known of it.

    `parts` are the final tokens of header and body, from which the compiler's columns are traced
    back, and `metal_parts` those of the other text; `unsupported` is a sentence about a part of
    Metal that is left out here, if one is named.
    """

    text: str
    mode: str
    storages: tuple[Storage, ...]
    places: tuple[Place, ...]
    parts: dict[str, list[Token]]
    unsupported: str | None
    metal_texts: MetalTexts
    """The text for the pass that reads it as Metal's compiler would (`metal_check`)."""
    metal_parts: dict[str, list[Token]]
    """The tokens of header and body in that text."""


def translate(
    signature: Signature,
    language: Language,
    preprocess: Preprocess,
    resolve: Resolve,
    mode: str | None = None,
) -> Unit:
    """The translation unit of a parsed kernel.

    Args:
        signature: The kernel, split.
        language: The version of Metal that the text is in.
        preprocess: Expands macros in a text and keeps line markers, as `clang -E`.
        resolve: What the pass that knows address spaces says about a text.
        mode: How it runs; None: as the kernel allows.

    Raises:
        Refused: for text that reaches outside the kernel.
        BadDeclaration: for a threadgroup declaration that Metal does not accept.
    """
    if len(signature.header) + len(signature.body) > _TEXT_LENGTH:
        raise Refused("source", 1, f"a kernel of more than {_TEXT_LENGTH} characters")
    header, body = _accepted(signature.header, "header"), _accepted(signature.body, "source")
    _check_last_line(signature.header)
    missing = unsupported([*header, *body])
    if any(map(_hides, [*header, *body])):
        header, body = _expanded(header, body, preprocess, language)
    metal_parts = _as_metal(signature, header, body)
    asked = texts_to_judge(signature, metal_parts, language)
    header, body = without_object_space(header), without_object_space(body)
    header, body = _apart(signature, header, body, language, resolve)
    spaces.check(body, {p.name for p in signature.parameters if _CONSTANT.search(p.type)})
    signature = variants.plain(signature, [*header, *body])
    header, body = shifts.rewrite(twins.remove(header)), shifts.rewrite(body)
    header, first = threadgroup.rewrite(header, 0, "header")
    body, second = threadgroup.rewrite(body, len(first), "source")
    storages = (*first, *second)
    places: list[Place] = []
    if mode is None:
        shares = bool(storages) or any(p.storage is not None for p in signature.parameters)
        mode = FIBRES if shares or _synchronises(header, body) else loop_mode(signature)
    if mode == FIBRES:
        (header, body), places = _numbered(header, body, storages)
    storages += tuple(
        Storage(p.storage, 1, (p.name,)) for p in signature.parameters if p.storage is not None
    )
    parts = {"header": header, "source": body}
    return Unit(
        _text(signature, parts, mode, language),
        mode,
        storages,
        tuple(places),
        parts,
        missing,
        asked,
        metal_parts,
    )


def whole_as_metal(text: str, language: Language) -> tuple[MetalTexts, list[Token]]:
    """A file as the pass reads it that judges it, without any call of its functions; its tokens.

    Raises:
        Refused: for what the text must not hold by its words alone.
    """
    signature = Signature("mf_kernel", text, "", (), "", "")
    parts = _as_metal(signature, _accepted(text, "header"), [])
    return texts_to_judge(signature, parts, language), parts["header"]


def _as_metal(
    signature: Signature, header: list[Token], body: list[Token]
) -> dict[str, list[Token]]:
    """The tokens to judge; what it must not hold by its words alone is refused here."""
    known = pointers.check(header, "header")
    pointers.check(body, "source", known)
    aliases = function_pointers.check(header, "header")
    function_pointers.check(body, "source", aliases)
    declarations.check(header, "header")
    declarations.check(body, "source")
    program_scope.check(header, "header")
    program_scope.check_statics(body, "source")
    called = kernels.check(header, "header")
    if not signature.is_call:
        kernels.check_body(body, "source", called)
    attributes.check(signature)
    return as_metal.parts_of(shifts.rewrite(header), shifts.rewrite(body))


def _apart(
    signature: Signature,
    header: list[Token],
    body: list[Token],
    language: Language,
    resolve: Resolve,
) -> tuple[list[Token], list[Token]]:
    """Both parts, what differs by address space alone under names of its own."""
    found = overloads.twins_of(header)
    if found:
        marks = overloads.marks_of(found)
        told = resolve(as_metal.lines_of(signature, header, body, language, marks))
        header, body = overloads.renamed(header, body, found, told)
    if names := twins.specialised(header):
        header = overloads.tagged(header, names, "header")
        body = overloads.tagged(body, names, "source")
    return header, body


def _hides(token: Token) -> bool:
    """Whether a directive hides from the next steps what they look for."""
    if token.kind != DIRECTIVE:
        return False
    return bool(_HIDDEN_IN_MACROS.search(token.text)) or shifts.in_macros(token)


def _accepted(text: str, part: str) -> list[Token]:
    """The tokens of the user's text that are allowed; of a text after the preprocessor, too."""
    tokens = list(tokenize(join_lines(text)))
    restricted.check_characters(tokens, part)
    restricted.check_names(tokens, part)
    restricted.check(tokens, part)
    return respell(refuse(tokens, part))


def _numbered(
    header: list[Token], body: list[Token], storages: Sequence[Storage]
) -> tuple[list[list[Token]], list[Place]]:
    names = {name for storage in storages for name in storage.names}
    try:
        header, body = lockstep.rewrite(header, body, names)
        return convergence.number({"header": header, "source": body})
    except RecursionError as error:
        raise Refused("source", 1, "statements are nested too deeply") from error


def _check_last_line(header: str) -> None:
    """MLX puts the kernel right behind the header, so a last line can swallow its signature."""
    last = list(tokenize(join_lines(header)))[-1:]
    if any(t.kind == DIRECTIVE or t.text.startswith("//") for t in last):
        reason = "the header must end with a newline, or this line takes in the kernel's signature"
        raise Refused("header", last[0].line, reason)


def _joined(tokens: list[Token]) -> str:
    return "".join(token.text for token in tokens)


def _text(
    signature: Signature, parts: dict[str, list[Token]], mode: str, language: Language
) -> str:
    header = _joined(parts["header"])
    if not header or header.endswith("\n"):
        header += '#line 1 "signature"'  # else its last line goes on into the kernel, as on a Mac
    return "\n".join(
        [
            '#line 1 "language"',
            f'{language.macros()}#line 1 "header"',
            header + kernel_head(signature),
            '#line 1 "source"',
            _joined(parts["source"]),
            '#line 1 "launch"',
            "}",
            entry(signature, mode),
            signature.facts,
        ]
    )


def _expanded(
    header: list[Token], body: list[Token], preprocess: Preprocess, language: Language
) -> tuple[list[Token], list[Token]]:
    """Both parts after the preprocessor, checked again: macros can spell what tokens did not."""
    texts = {"header": _joined(header), "source": _joined(body)}
    parts = expand(texts, preprocess, language)
    return _accepted(parts["header"], "header"), _accepted(parts["source"], "source")


def _synchronises(header: list[Token], body: list[Token]) -> bool:
    text = _code(body)
    return bool(_NEEDS_FIBRES.search(text) or _NEEDS_FIBRES.search(_reachable(header, text)))


def _code(tokens: list[Token]) -> str:
    return " ".join(token.text for token in tokens if token.kind not in {COMMENT, SPACE, STRING})


def _reachable(header: list[Token], body: str) -> str:
    """The code of the header without functions that the body does not reach."""
    if not _NEEDS_FIBRES.search(_code(header)):
        return ""
    source = convergence.Source(header)
    left = {function: source.text[slice(*function.body)] for function in functions_of(source)}
    inside = {i for f in left for i in range(source.order[f.at], source.order[f.body[1]] + 1)}
    reached = _code([token for i, token in enumerate(header) if i not in inside])
    names = set(_WORD.findall(f"{body} {reached}"))
    while found := [function for function in left if function.name in names]:
        for function in found:
            words = left.pop(function)
            names.update(words)
            reached += " " + " ".join(words)
    return reached
