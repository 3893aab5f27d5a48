"""A kernel as the Macs of macOS 15 and later take it, where the cpu engine proved it.

There MLX sets the math mode alone, and Metal takes `tanh` for `fast::tanh` whatever the mode
(MTLLibrary.h: `mathFloatingPointFunctions`); elsewhere the plain names are precise, and so they are
on the cpu engine. A kernel that is right with the one and wrong with the other stays right, for
nobody has seen it on such a Mac, and says so: whoever reads it changes one word.
"""

from __future__ import annotations

from dataclasses import replace

from foundry.judge.candidate import Failed, prepare
from foundry.judge.proof.verify import verify
from foundry.judge.stages import Walk, build_rest, build_visible
from foundry.judge.verdict import Diagnostic, Status
from ops.texts.metal import plain_calls, with_fast_calls

PLAIN_NAMES = "plain names"
"""Key among what a kernel is not proven in."""
_ALIKE = frozenset({"exp", "exp2", "log", "log2"})
"""The cpu engine computes both kinds of these alike."""


def look_at_plain_names(walk: Walk) -> None:
    """Hold a kernel that is right to its op once more, its plain names taken for `fast::`.

    Builds anew: nothing that was built for the kernel can be run afterwards.
    """
    candidate = walk.candidate
    names = [name for name in plain_calls(candidate.text) if name not in _ALIKE]
    if not names or walk.worker.on_gpu or not walk.worker.is_whole:
        return
    other = candidate.beside(with_fast_calls(candidate.text), candidate.dtype)
    if prepare(other, walk.options):
        return
    failed = _verified(replace(walk, candidate=other))
    if failed and failed.status is Status.WRONG_RESULT:
        candidate.unproven[PLAIN_NAMES] = Failed(Status.CORRECT, _told(names, failed.diagnostic))


def _verified(walk: Walk) -> Failed | None:
    candidate = walk.candidate
    return (
        build_visible(walk)
        or verify(walk, candidate.visible, first=0)
        or build_rest(walk)
        or verify(walk, candidate.rest, first=walk.first_of_rest)
    )


def _told(names: list[str], wrong: Diagnostic) -> Diagnostic:
    listed = ", ".join(f"`{name}`" for name in names)
    said = (
        f"right where plain {listed} are precise. From macOS 15 on MLX leaves them to Metal, which "
        f"takes them for `fast::`, and with those: {wrong.message} "
        f"Call {', '.join(f'`precise::{name}`' for name in names)}."
    )
    # Of a hidden workload the words tell nothing; what is hidden as a whole would not be read.
    workload = None if wrong.hidden else wrong.workload
    return Diagnostic(stage=wrong.stage, message=said, workload=workload)
