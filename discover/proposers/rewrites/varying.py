"""Which names of a body differ from thread to thread of a threadgroup. Pure.

A name varies when it is set from what varies, or set where it hangs on what varies whether it is.
Whatever is not understood is taken to vary.
"""

from __future__ import annotations

from discover.proposers.rewrites.source import Piece, assigned, names, pieces, plain
from foundry.msl.frontend.tokens import NAME

_SAME = {"threadgroup_position_in_grid", "threadgroups_per_grid", "threads_per_grid"}
_OWN = ("thread_", "simd", "quad", "threads_per_threadgroup", "dispatch")
_KEYWORDS = {"if", "else", "for", "while", "do", "switch", "case", "return"}
_ROUNDS = 8
"""Names set from names; longer chains count as varying."""


def is_own(name: str) -> bool:
    """Whether an attribute of Metal has a value of its own in each thread or SIMD-group."""
    return name.startswith(_OWN) and name not in _SAME


def varying(body: str) -> set[str]:
    """Names of a body that may differ within a threadgroup."""
    used = names(body)
    found = {name for name in used if is_own(name)}
    parts = [(names(part), assigned(part) | _declared(part)) for part in _chunks(plain(body))]
    for _ in range(_ROUNDS):
        known = len(found)
        for held, given in parts:
            if held & found:
                found |= given
        if len(found) == known:
            return found
    return used


def _chunks(body: str) -> list[str]:
    """Statements, with the heads of the blocks that they stand in."""
    heads: list[str] = [""]
    held, found, start, depth = "", [], 0, 0
    for piece in pieces(body):
        depth += (piece.text in "([") - (piece.text in ")]")
        if depth or piece.text not in "{};":
            continue
        held += body[start : piece.at]
        start = piece.end
        if piece.text == "{":
            heads.append(f"{heads[-1]} {held}")
        elif piece.text == "}":
            heads = heads[:-1] or [""]
        found.append(f"{heads[-1]} {held};")
        held = ""
    return [*found, f"{heads[-1]} {body[start:]}"]


def _declared(chunk: str) -> set[str]:
    """Names that are declared: behind a type, before an `=` or a bracket."""
    tokens = pieces(chunk)
    triples = zip(tokens, tokens[1:], tokens[2:], strict=False)
    return {
        name.text
        for before, name, after in triples
        if name.token.kind == NAME and name.text not in _KEYWORDS and _is_declared(before, after)
    }


def _is_declared(before: Piece, after: Piece) -> bool:
    """Whether a name between these is one that is declared: `float* p =`, `float v[4]`."""
    is_type = before.token.kind == NAME and before.text not in _KEYWORDS
    is_set = after.text == "=" and before.text in ("*", "&", ">")
    return is_set or (is_type and after.text in ("=", "(", "{", "["))
