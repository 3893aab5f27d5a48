"""Is a draft worth judging? Malformed replies and kernels met before are not. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from discover.drafts.draft import Draft
from discover.drafts.novelty import Novelty
from foundry.judge.verdict import Diagnostic, Evaluation, Status
from foundry.kernel import Kernel, render, text_hash
from foundry.prompts.answer import Malformed, extract
from ops.spec import Op


@dataclass(frozen=True)
class Fresh:
    """A kernel that the search has not met, its text as `render` writes it."""

    draft: Draft
    kernel: Kernel


@dataclass(frozen=True)
class Repeated:
    """A kernel that an earlier node has already, up to names, space and comments."""

    kernel: Kernel
    first: int
    """The node that had it first."""


@dataclass(frozen=True)
class Unusable:
    """A reply without a usable kernel: the text nearest to one, and why it is none."""

    draft: Draft
    fault: Malformed


def sift(draft: Draft, op: Op, met: Novelty) -> Fresh | Repeated | Unusable:
    """What a draft is, before anything is spent on it."""
    found = extract(draft.text, op)
    if isinstance(found, Malformed):
        return Unusable(Draft(found.text or draft.text, draft.origin), found)
    first = met.first(found.kernel)
    if first is not None:
        return Repeated(found.kernel, first)
    return Fresh(Draft(render(found.kernel), draft.origin), found.kernel)


def verdict(unusable: Unusable, op: str, dtype: str, device_id: str, seed: int) -> Evaluation:
    """The evaluation of a reply without a usable kernel; the judge never sees it."""
    fault = unusable.fault
    return Evaluation(
        kernel_hash=text_hash(unusable.draft.text),
        op=op,
        dtype=dtype,
        device_id=device_id,
        status=Status.INVALID,
        diagnostics=(Diagnostic(stage="parse", message=fault.reason, line=fault.line),),
        seed=seed,
    )
