"""Which verified kernels may stand as an answer."""

from __future__ import annotations

from foundry.datasets.choice import Choice
from foundry.datasets.pool import ProvenKernel
from foundry.datasets.repeated import repeats_its_work
from foundry.datasets.teachers import PLANTER


def is_slip(kernel: ProvenKernel) -> bool:
    """Whether it was made to be wrong: one that is right all the same is nothing to learn from."""
    return kernel.known.lineage.teachers[0] == PLANTER


def repeats(kernel: ProvenKernel) -> bool:
    """Whether several of its threads do the same: right, and a waste."""
    return repeats_its_work(kernel.text)


def has_reached(kernel: ProvenKernel, choice: Choice) -> bool:
    """Whether it once had a status that is asked for."""
    return any(proof.evaluation.status in choice.statuses for proof in kernel.proofs)


def is_taught(kernel: ProvenKernel, choice: Choice) -> bool:
    """Whether it may stand as an answer."""
    return not is_slip(kernel) and not repeats(kernel) and has_reached(kernel, choice)
