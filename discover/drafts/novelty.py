"""What counts as the same kernel: equal hash, or equal after normalising names, space, comments."""

from __future__ import annotations

from functools import lru_cache

from foundry.kernel import Kernel, parse, render, text_hash
from foundry.kernel.normal_form import kernel_tokens


class Novelty:
    """The kernels a search has met."""

    def __init__(self) -> None:
        self._met: dict[str, int] = {}

    def first(self, kernel: Kernel) -> int | None:
        """The node that had this kernel first, or None."""
        return self._met.get(fingerprint(kernel))

    def add(self, kernel: Kernel, node_id: int) -> None:
        """Remember a kernel; the first node that had it stays."""
        self._met.setdefault(fingerprint(kernel), node_id)


def fingerprint(kernel: Kernel) -> str:
    """Equal for kernels that differ in names, space and comments only."""
    return _of_text(render(kernel))


@lru_cache(maxsize=4096)
def _of_text(text: str) -> str:
    # A proposer without fresh ideas asks for the same few kernels again and again.
    return text_hash(" ".join(kernel_tokens(parse(text))))
