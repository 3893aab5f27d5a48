"""`completion`: a kernel file cut in two after a line of its body."""

from __future__ import annotations

from collections.abc import Iterator

from foundry.datasets.labels import PROVEN
from foundry.datasets.views.sft import kept, proof_of
from foundry.datasets.views.view import Material, Row, View, drawn, row

NAME = "completion"
_BODY = "// --- body ---\n"


def _rows(material: Material) -> Iterator[Row]:
    for _, groups in material.pool.ops():
        for kernel in kept(groups, material):
            at = cut(kernel.text, drawn(kernel.kernel_hash, material.choice.seed, 1 << 30))
            if at is None:
                material.left_out["a body of one line"] += 1
                continue
            content = {"prompt": kernel.text[:at], "completion": kernel.text[at:]}
            stored = proof_of(kernel, material.choice.seed)
            yield row(NAME, content, kernel.known, stored, PROVEN)


def cut(text: str, number: int) -> int | None:
    """Where to cut: after the body marker or a line that follows it; None where it has one line."""
    start = text.find(_BODY) + len(_BODY)
    ends = [start, *(i + 1 for i in range(start, len(text) - 1) if text[i] == "\n")]
    ends = [end for end in ends if text[end:].strip()]
    return ends[number % len(ends)] if len(ends) > 1 else None


VIEW = View(
    NAME,
    "The first part of a verified kernel file, up to a line of its body, and the rest of it.",
    {"prompt": "text", "completion": "text"},
    _rows,
)
