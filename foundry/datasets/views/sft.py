"""`sft`: verified kernels as chats, asked for as a search asks.

Of each group of near duplicates `per_group` kernels are kept, the fastest first, and none of those
that a fault was planted into: a loop may run a step too far and harm nobody; nor of those whose
threads repeat one another's work. A kernel that was
surely faster than another in its session is the answer to "improve this one", its own parent where
that is the slower; any other is the answer to "write one from scratch".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from foundry.datasets.labels import MEASURED, PROVEN
from foundry.datasets.pool import ProvenKernel
from foundry.datasets.views.asking import attempt, failed_siblings, prompt
from foundry.datasets.views.pairs import SpeedPair, measured
from foundry.datasets.views.taught import has_reached, is_slip, repeats
from foundry.datasets.views.view import CHAT, Material, Row, View, answered, drawn, fenced, row
from foundry.store.records import StoredEvaluation

NAME = "sft"


def kept(groups: Sequence[Sequence[ProvenKernel]], material: Material) -> list[ProvenKernel]:
    """What is taught of the groups of an op; what is not is counted."""
    found = []
    for group in groups:
        meant = [one for one in group if not is_slip(one)]
        material.left_out["a planted slip that did no harm"] += len(group) - len(meant)
        once = [one for one in meant if not repeats(one)]
        material.left_out["its threads repeat one another's work"] += len(meant) - len(once)
        wanted = [one for one in once if has_reached(one, material.choice)]
        material.left_out[f"not {' or '.join(material.choice.statuses)}"] += len(once) - len(wanted)
        found += wanted[: material.choice.per_group]
        surplus = max(0, len(wanted) - material.choice.per_group)
        material.left_out[f"beyond {material.choice.per_group} near duplicates"] += surplus
    return sorted(found, key=lambda one: one.kernel_hash)


def proof_of(kernel: ProvenKernel, seed: int) -> StoredEvaluation:
    """The proof that a row speaks of: over many kernels every element type has its share."""
    return kernel.proofs[drawn(kernel.kernel_hash, seed, len(kernel.proofs))]


def _rows(material: Material) -> Iterator[Row]:
    for _, groups in material.pool.ops():
        better: dict[str, SpeedPair] = {}
        for pair in measured([one for group in groups for one in group]):
            better.setdefault(pair.faster.kernel.kernel_hash, pair)
            if pair.slower.kernel.kernel_hash == pair.faster.kernel.known.parent:
                better[pair.faster.kernel.kernel_hash] = pair
        for kernel in kept(groups, material):
            gain = better.get(kernel.kernel_hash)
            yield _improve(material, gain) if gain else _write(material, kernel)


def _write(material: Material, kernel: ProvenKernel) -> Row:
    stored = proof_of(kernel, material.choice.seed)
    chat = answered(prompt(material, kernel.known, stored), fenced(kernel.text))
    return row(NAME, {"messages": chat, "task": "write"}, kernel.known, stored, PROVEN)


def _improve(material: Material, pair: SpeedPair) -> Row:
    slower, faster = pair.slower, pair.faster
    shown = attempt(slower.kernel.known, slower.stored)
    siblings = failed_siblings(material, slower.kernel.known, faster.kernel.known)
    failures = tuple(failure for _, failure in siblings)
    asked = prompt(material, faster.kernel.known, faster.stored, shown, failures)
    content = {"messages": answered(asked, fenced(faster.kernel.text)), "task": "improve"}
    beside = [slower.kernel.known, *(sibling for sibling, _ in siblings)]
    return row(NAME, content, faster.kernel.known, faster.stored, MEASURED, beside)


VIEW = View(
    NAME,
    "A request for a Metal kernel as a search makes it (`task`: `write` one from scratch, or "
    "`improve` a slower one), and the kernel file that answers it.",
    {"messages": CHAT, "task": "text"},
    _rows,
)
