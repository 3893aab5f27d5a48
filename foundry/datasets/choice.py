"""What is kept of everything that could be: one value that every part of an export is told."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from foundry.datasets.teachers import Use
from foundry.judge.verdict import Status
from foundry.prompts.forms import FULL, PromptForm

PASSED = (Status.CORRECT, Status.FASTER)


@dataclass(frozen=True)
class Choice:
    """What is kept. The defaults keep whatever was proven, and few of what is nearly the same."""

    statuses: Collection[Status] = PASSED
    """Of `correct` and `faster`: what a kernel must have reached once to be taught."""
    uses: Collection[Use] = tuple(Use)
    """Training uses that are allowed."""
    hold_out: Collection[str] = ()
    """Ops that no view ever sees, nor kernels near to theirs."""
    valid: Collection[str] = ()
    """Op families for `valid` instead of chosen ones."""
    test: Collection[str] = ()
    """Op families for `test` instead of chosen ones."""
    per_group: int = 8
    """Kernels kept of each group of near duplicates: the fastest first."""
    prompt: PromptForm = FULL
    """How the chats ask."""
    seed: int = 0
    """Of the choice of families, and of whatever else is drawn."""
