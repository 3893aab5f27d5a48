"""Multiply and add in one operation: `s += a * b` becomes `s = fma(a, b, s)`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from discover.proposers.rewrites import Variant
from discover.proposers.rewrites.source import Piece, edit_bodies, pieces
from foundry.kernel import Kernel
from foundry.msl.frontend.tokens import DIRECTIVE, SIGN
from ops.spec import Op

_TARGET = re.compile(r"[A-Za-z_]\w*(?:\[[^\[\]]*\])*")
_OPENING, _CLOSING = ("(", "["), (")", "]")
_NEUTRAL = (*_OPENING, *_CLOSING, ".", "::")
"""Signs that do not join terms."""


def variants(kernel: Kernel, op: Op) -> Iterator[Variant]:
    """All sums of products of a stage at once."""
    for label, changed in edit_bodies(kernel, _edit):
        yield Variant(label, changed)


def _edit(body: str) -> Iterator[tuple[str, str]]:
    found, last, count = [], 0, 0
    for run in _statements(body):
        text = _fused(body, run)
        if text is not None:
            found += [body[last : run[0].at], text]
            last, count = run[-1].end, count + 1
    if count:
        yield f"{count} sums of products as fma", "".join([*found, body[last:]])


def _statements(body: str) -> Iterator[list[Piece]]:
    """Runs of tokens between semicolons and braces."""
    run: list[Piece] = []
    for piece in pieces(body):
        if piece.text in (";", "{", "}"):
            if run and piece.text == ";":
                yield run
            run = []
        elif piece.token.kind != DIRECTIVE:
            run.append(piece)


def _fused(body: str, run: list[Piece]) -> str | None:
    """The statement as fma, when it is `name += factor * factor`."""
    outer = _outer(run)
    signs = [i for i in outer if run[i].token.kind == SIGN and run[i].text not in _NEUTRAL]
    if [run[i].text for i in signs] != ["+", "=", "*"]:
        return None
    plus, equals, star = signs
    target = body[run[0].at : run[plus - 1].end]
    left = body[run[equals + 1].at : run[star - 1].end]
    right = body[run[star + 1].at : run[-1].end] if star + 1 < len(run) else ""
    if equals != plus + 1 or star == equals + 1 or not right or not _TARGET.fullmatch(target):
        return None
    return f"{target} = fma(float({left}), float({right}), {target})"


def _outer(run: list[Piece]) -> list[int]:
    """Indices of tokens outside all brackets."""
    depth, found = 0, []
    for index, piece in enumerate(run):
        depth -= piece.text in _CLOSING
        if depth == 0:
            found.append(index)
        depth += piece.text in _OPENING
    return found
