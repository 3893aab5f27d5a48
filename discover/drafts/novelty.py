"""What counts as the same kernel: equal hash, or equal after normalising names, space, comments."""

from __future__ import annotations

from foundry.kernel import Kernel, parse, render, text_hash
from foundry.kernel.normal_form import kernel_tokens

_MOST_REMEMBERED = 1 << 16


class Novelty:
    """The kernels a search has met."""

    def __init__(self) -> None:
        self._met: dict[str, int] = {}
        self._fingerprints: dict[str, str] = {}
        """By hash: a proposer without fresh ideas asks for the same few kernels again and again."""

    def first(self, kernel: Kernel) -> int | None:
        """The node that had this kernel first, or None."""
        return self._met.get(self._fingerprint(kernel))

    def add(self, kernel: Kernel, node_id: int) -> None:
        """Remember a kernel; the first node that had it stays."""
        self._met.setdefault(self._fingerprint(kernel), node_id)

    def _fingerprint(self, kernel: Kernel) -> str:
        known = kernel.hash
        if known not in self._fingerprints:
            if len(self._fingerprints) >= _MOST_REMEMBERED:
                self._fingerprints.clear()
            self._fingerprints[known] = fingerprint(kernel)
        return self._fingerprints[known]


def fingerprint(kernel: Kernel) -> str:
    """Equal for kernels that differ in names, space and comments only.

    Raises:
        InvalidKernel: Its text does not read back.
    """
    return text_hash(" ".join(kernel_tokens(parse(render(kernel)))))
