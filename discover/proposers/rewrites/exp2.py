"""Powers of 2 instead of powers of e: `exp(v)` is `exp2(v * log2(e))`, and hardware has exp2."""

from __future__ import annotations

from collections.abc import Iterator

from discover.proposers.rewrites import Variant
from discover.proposers.rewrites.source import closing, edit_everywhere, pieces
from foundry.kernel import Kernel
from ops.spec import Op

LOG2_E = "1.44269504088896340736f"


def variants(kernel: Kernel, op: Op) -> Iterator[Variant]:
    """All calls of `exp` at once."""
    changed = edit_everywhere(kernel, _edit)
    if changed is not None:
        yield Variant("exp2 instead of exp", changed)


def _edit(text: str) -> str:
    """Replace the first call until none is left, since calls may be nested."""
    while True:
        replaced = _first(text)
        if replaced is None:
            return text
        text = replaced


def _first(text: str) -> str | None:
    tokens = pieces(text)
    for index, piece in enumerate(tokens[:-1]):
        before = tokens[index - 1].text if index else ""
        if piece.text != "exp" or tokens[index + 1].text != "(" or before in (".", "->"):
            continue
        if before.isidentifier() and before != "return":
            continue
        close = closing(tokens, index + 1)
        if close is None:
            return None
        value = text[tokens[index + 1].end : tokens[close].at]
        call = f"exp2(({value}) * {LOG2_E})"
        return text[: piece.at] + call + text[tokens[close].end :]
    return None
