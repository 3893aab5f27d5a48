"""`repair`: a broken kernel with what the judge said of it, and the kernel that is right.

The two are one step apart: the fix was made from the broken kernel (`fixed by`: `child`), or the
broken one was made from it (`origin`), as planted faults and failed changes are.
"""

from __future__ import annotations

from collections.abc import Iterator

from foundry.datasets.attempts import VERDICTS_OF_MACHINES
from foundry.datasets.evidence import KernelRecord
from foundry.datasets.labels import PROVEN
from foundry.datasets.pool import ProvenKernel
from foundry.datasets.views.asking import attempt, prompt
from foundry.datasets.views.taught import is_taught
from foundry.datasets.views.view import CHAT, Material, Row, View, answered, drawn, fenced, row
from foundry.store.records import StoredEvaluation

NAME = "repair"


def _rows(material: Material) -> Iterator[Row]:
    for key in sorted(material.pool.failed):
        broken = material.pool.failed[key]
        failures = {
            one.evaluation.dtype: one
            for one in broken.failures()
            if one.evaluation.status not in VERDICTS_OF_MACHINES
        }
        if not failures:
            material.left_out["failed by what may be a machine's fault"] += 1
            continue
        fixes = list(_fixes(material, broken))
        if not fixes:
            material.left_out["no kernel that is taught one step away"] += 1
            continue
        for relation, fix in fixes:
            shared = [proof for proof in fix.proofs if proof.evaluation.dtype in failures]
            if not shared:
                material.left_out["broken and right in different element types"] += 1
                continue
            proof = shared[drawn(broken.kernel_hash, material.choice.seed, len(shared))]
            failure = failures[proof.evaluation.dtype]
            yield _row(material, broken, failure, fix, proof, relation)


def _fixes(material: Material, broken: KernelRecord) -> Iterator[tuple[str, ProvenKernel]]:
    """Kernels that are taught, one step away: children, the best first, then the parent."""
    proven, choice = material.pool.proven, material.choice
    near = [
        proven[child.key]
        for child in material.evidence.children.get(broken.kernel_hash, ())
        if child.key in proven and child.op.name == broken.op.name
    ]
    children = [one for one in near if is_taught(one, choice)]
    origin = proven.get((broken.parent or "", broken.op.name))
    if children:
        yield "child", min(children, key=lambda one: (-one.score, one.kernel_hash))
    elif origin and is_taught(origin, choice):
        yield "origin", origin


def _row(
    material: Material,
    broken: KernelRecord,
    failure: StoredEvaluation,
    fix: ProvenKernel,
    proof: StoredEvaluation,
    relation: str,
) -> Row:
    asked = prompt(material, fix.known, proof, attempt(broken, failure))
    content = {
        "messages": answered(asked, fenced(fix.text)),
        "fault": failure.evaluation.status.value,
        "fixed_by": relation,
        "broken_hash": broken.kernel_hash,
    }
    return row(NAME, content, fix.known, proof, PROVEN, [broken])


VIEW = View(
    NAME,
    "A kernel that failed, with the judge's findings and their lines, and the verified kernel that "
    "is one step away from it: its child, or the one it was made from (`fixed_by`).",
    {
        "messages": CHAT,
        "fault": "text",
        "fixed_by": "text",
        "broken_hash": "text",
    },
    _rows,
)
