"""One kernel over many workloads: what MLX writes differently, and the processor does not see.

MLX binds an input of fewer than 8 elements as `constant` and any other as `device`, and puts a hash
of both into the kernel's name. `spaces` has judged that by the time a unit is written; in it both
words mean nothing, so units that leave them out are the same text for all variants of a kernel and
are compiled once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from foundry.msl.frontend.signature import Signature
from foundry.msl.frontend.tokens import DIRECTIVE, Token

_NAME = "mf_kernel"
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_WORDS = re.compile(r"\b(?:device|constant) ")
_REDEFINES = re.compile(r"(?:#|%:)\s*(?:define|undef|pragma)\b[^\n]*\b(?:device|constant)\b")


def plain(signature: Signature, tokens: Iterable[Token]) -> Signature:
    """The signature without what tells variants apart.

    A text that gives these words a meaning of its own keeps its signature, and so does a kernel
    whose name is none, which the compiler refuses.

    Args:
        signature: As MLX generated it.
        tokens: All of the user's text.
    """
    if not _IDENTIFIER.fullmatch(signature.kernel):
        return signature
    for token in tokens:
        if _NAME in token.text or (token.kind == DIRECTIVE and _REDEFINES.search(token.text)):
            return signature
    parameters = tuple(replace(p, type=_WORDS.sub("", p.type)) for p in signature.parameters)
    return replace(signature, kernel=_NAME, parameters=parameters)
