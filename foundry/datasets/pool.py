"""Which kernels may be shown in which split: decided once, before any view takes a row.

1. Kernels whose terms or text forbid it are out, and every kernel and answer of a held-out op.
2. Splits go by op family.
3. What is near to a kernel of a held-out op is out; then what is near to one of an earlier split
   leaves the later one: no kernel of any row of valid or test has a near duplicate in train.
4. Within a split, groups of near duplicates are formed op by op, the fastest first.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from foundry.datasets import leaks
from foundry.datasets.choice import Choice
from foundry.datasets.duplicates import SimilarityIndex, grouped
from foundry.datasets.evidence import Evidence, KernelRecord, Key, is_clean, key_of
from foundry.datasets.split import SPLITS, TRAIN, assign
from foundry.errors import unknown
from foundry.judge.verdict import Evaluation, Status
from foundry.store.records import StoredEvaluation
from ops.registry import all_ops
from ops.spec import Op

_OP = re.compile(r"""^[ \t]*op[ \t]*=[ \t]*["'](\w+)["']""", re.M)
"""The op that a kernel file names, or a text that was meant to be one."""


@dataclass(frozen=True)
class ProvenKernel:
    """A kernel that is proven right, and clean under the sanitizer, with its proofs."""

    known: KernelRecord
    proofs: tuple[StoredEvaluation, ...]

    @property
    def op(self) -> Op:
        """What it computes."""
        return self.known.op

    @property
    def text(self) -> str:
        """The kernel file."""
        return self.known.text

    @property
    def kernel_hash(self) -> str:
        """Its identity."""
        return self.known.kernel_hash

    @property
    def score(self) -> float:
        """Highest lower bound of a speedup; 0 when it was not timed. For choosing, never shown."""
        return max((proof.evaluation.score or 0.0 for proof in self.proofs), default=0.0)


@dataclass
class Pool:
    """The kernels of one split."""

    split: str
    proven: dict[Key, ProvenKernel] = field(default_factory=dict)
    failed: dict[Key, KernelRecord] = field(default_factory=dict)
    """Kernels, and texts that are none, that failed and never passed."""
    doubtful: dict[Key, KernelRecord] = field(default_factory=dict)
    """Kernels that are no example of anything: suspected cheats, passes that were taken back, and
    those that the sanitizer did not watch everywhere."""
    groups: list[list[ProvenKernel]] = field(default_factory=list)
    """Near duplicates of one op, the fastest first; a kernel without any is alone."""

    def holds(self, evaluation: Evaluation) -> bool:
        """Whether rows of this split may show a kernel and what became of it."""
        return any(key_of(evaluation) in part for part in self.parts())

    def parts(self) -> tuple[dict[Key, Any], ...]:
        """Proven, failed and doubtful kernels."""
        return self.proven, self.failed, self.doubtful

    def ops(self) -> Iterator[tuple[Op, list[list[ProvenKernel]]]]:
        """Every op with the groups of its proven kernels, by name."""
        found: dict[str, list[list[ProvenKernel]]] = {}
        for group in self.groups:
            found.setdefault(group[0].op.name, []).append(group)
        for name in sorted(found):
            yield found[name][0][0].op, found[name]


@dataclass(frozen=True)
class Pools:
    """The pools of all splits, the split of every family, and why kernels are in none."""

    by_split: Mapping[str, Pool]
    families: Mapping[str, str]
    left_out: Mapping[str, int]


def pools(evidence: Evidence, choice: Choice) -> Pools:
    """Deal kernels out to splits.

    Raises:
        UsageError: Families or held-out ops that do not fit.
    """
    left_out = Counter(evidence.left_out)
    for name in choice.hold_out:
        if name not in all_ops():
            raise unknown("op", name, all_ops())
    usable, held = _usable(evidence, choice, left_out)
    proven = {key: one for key, known in usable.items() if (one := _proven(known))}
    families = assign(
        Counter(kernel.op.family for kernel in proven.values()),
        choice.seed,
        valid=choice.valid,
        test=choice.test,
    )
    found = {split: Pool(split) for split in SPLITS}
    for key, known in usable.items():
        pool = found[families.get(known.op.family, TRAIN)]
        if key in proven:
            pool.proven[key] = proven[key]
        elif doubt := _doubt(known):
            left_out[doubt] += 1
            pool.doubtful[key] = known
        else:
            pool.failed[key] = known
    _keep_apart(found, held, left_out)
    for pool in found.values():
        pool.groups = list(_groups(pool, left_out))
    return Pools(found, families, {why: n for why, n in sorted(left_out.items()) if n})


def _usable(
    evidence: Evidence, choice: Choice, left_out: Counter[str]
) -> tuple[dict[Key, KernelRecord], list[str]]:
    """Kernels that may be shown, and the texts of those that compute a held-out op.

    An answer that is no kernel of the op it was given for gives nothing away: what it is near to
    stays. The other way round a text that says it is a kernel of a held-out op is shown for none.
    """
    usable: dict[Key, KernelRecord] = {}
    held: list[str] = []
    for key, known in evidence.kernels.items():
        if known.op.name in choice.hold_out:
            held += [known.text] if _ever_passed(known) else []
            left_out["op is held out"] += 1
        elif not set(choice.hold_out).isdisjoint(_OP.findall(known.text)):
            left_out["a kernel of a held-out op, given for another"] += 1
        elif known.lineage.use not in choice.uses:
            left_out[f"training use is {known.lineage.use}"] += 1
        elif any(leaks.leaks(known.text)):
            left_out["its text names a path or a key"] += 1
        else:
            usable[key] = known
    return usable, held


def _ever_passed(known: KernelRecord) -> bool:
    return any(one.evaluation.status.passed for one in known.latest.values())


def _proven(known: KernelRecord) -> ProvenKernel | None:
    proofs = tuple(one for one in known.proofs() if is_clean(one.evaluation))
    return ProvenKernel(known, proofs) if proofs else None


def _doubt(known: KernelRecord) -> str | None:
    """Why an unproven kernel is no example of an honest mistake either."""
    statuses = {one.evaluation.status for one in known.latest.values()}
    if Status.REJECTED in statuses:
        return "suspected of cheating"
    if not _ever_passed(known):
        return None
    return "not watched by the sanitizer on all sizes" if known.proofs() else "proof taken back"


def _keep_apart(found: Mapping[str, Pool], held: Sequence[str], left_out: Counter[str]) -> None:
    """Take out what is near to a held-out kernel, or to one of an earlier split."""
    index = SimilarityIndex(held)
    reason = "near a held-out kernel"
    for split in SPLITS:
        for part in found[split].parts():
            for key in [key for key, one in part.items() if index.has_near(one.text)]:
                del part[key]
                left_out[reason] += 1
        if split != SPLITS[-1]:
            for part in found[split].parts():
                for one in part.values():
                    index.add(one.text)
        reason = "near a kernel of another split"


def _groups(pool: Pool, left_out: Counter[str]) -> Iterator[list[ProvenKernel]]:
    of_op: dict[str, list[ProvenKernel]] = {}
    for one in pool.proven.values():
        of_op.setdefault(one.op.name, []).append(one)
    for name in sorted(of_op):
        ordered = sorted(of_op[name], key=lambda one: (-one.score, one.kernel_hash))
        groups = list(grouped(ordered))
        same = len(ordered) - sum(map(len, groups))
        left_out["the same as another but for names and space"] += same
        yield from groups
