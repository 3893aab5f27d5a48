"""What MLX says when Metal stops the work of a GPU, and whose fault it may be.

MLX turns an error of a command buffer into an exception whose text alone names it.
"""

from __future__ import annotations

import re
from enum import Enum

_NAMED = re.compile(r"kIOGPUCommandBufferCallbackError(\w+)")
_BYSTANDERS = {"InnocentVictim", "SubmissionsIgnored"}


class Blame(Enum):
    """Whose fault an error of the GPU may be."""

    BYSTANDER = "bystander"
    """Another program's: the GPU was started anew under this one."""
    KERNEL = "kernel"
    """This kernel's, or a busy machine's: it ran for too long, or touched memory of nobody."""


def fault_in(text: str) -> str | None:
    """The name of Metal's error in the text of an exception; None where there is none."""
    found = _NAMED.search(text)
    return found[1] if found else None


def blame_of(fault: str) -> Blame:
    """Whose fault an error of this name may be."""
    return Blame.BYSTANDER if fault in _BYSTANDERS else Blame.KERNEL
