"""What the evaluations of a store say together of each kernel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from foundry.datasets.teachers import Lineage, Origins, lineage
from foundry.judge.verdict import JUDGE_VERSION, Evaluation
from foundry.store.records import StoredEvaluation
from foundry.store.tables.evaluations import DISPROOFS
from ops.registry import all_ops
from ops.spec import Op

Key = tuple[str, str]
"""Hash and op: a text that is no kernel, an empty one for instance, may be an answer for any op."""


@dataclass
class KernelRecord:
    """A kernel, or a text that was meant to be one, and what became of it."""

    op: Op
    kernel_hash: str
    text: str
    parent: str | None
    lineage: Lineage
    latest: dict[tuple[str, str], StoredEvaluation] = field(default_factory=dict)
    """By dtype and device, in the order in which they were saved."""
    disproved: set[str] = field(default_factory=set)
    """Dtypes in which some evaluation disproves it."""

    @property
    def key(self) -> Key:
        """What it is known by."""
        return self.kernel_hash, self.op.name

    def add(self, stored: StoredEvaluation) -> None:
        """Take in the next evaluation, in the order in which they were saved."""
        evaluation = stored.evaluation
        self.latest[evaluation.dtype, evaluation.device_id] = stored
        if evaluation.status in DISPROOFS:
            self.disproved.add(evaluation.dtype)

    def proofs(self) -> tuple[StoredEvaluation, ...]:
        """Evaluations that it passed, in the dtypes that nothing speaks against."""
        failed = {dtype for (dtype, _), one in self.latest.items() if not _passed(one)}
        doubtful = failed | self.disproved
        return tuple(
            one
            for one in self.latest.values()
            if _passed(one) and one.evaluation.dtype not in doubtful
        )

    def failures(self) -> tuple[StoredEvaluation, ...]:
        """Its latest evaluations that failed."""
        return tuple(one for one in self.latest.values() if not _passed(one))


def _passed(stored: StoredEvaluation) -> bool:
    return stored.evaluation.status.passed


def key_of(evaluation: Evaluation) -> Key:
    """The kernel that an evaluation speaks of."""
    return evaluation.kernel_hash, evaluation.op


def is_clean(evaluation: Evaluation) -> bool:
    """Whether the sanitizer watched the kernel on every size that it was proven on."""
    return evaluation.proven is not None and evaluation.proven.unwatched == 0


@dataclass
class Evidence:
    """Every kernel, and why evaluations or kernels are not among them."""

    kernels: dict[Key, KernelRecord] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)

    @cached_property
    def children(self) -> dict[str, list[KernelRecord]]:
        """Kernels by the hash of what they were made from, once all are gathered."""
        found: dict[str, list[KernelRecord]] = {}
        for known in self.kernels.values():
            if known.parent is not None:
                found.setdefault(known.parent, []).append(known)
        return found


def gather(attempts: Iterable[StoredEvaluation], origins: Origins) -> Evidence:
    """Bring the evaluations of each kernel together; those of another judge do not count."""
    evidence = Evidence()
    for stored in _of_this_judge(attempts, evidence.left_out):
        kernel_hash = stored.evaluation.kernel_hash
        key = key_of(stored.evaluation)
        known = evidence.kernels.get(key)
        if known is None:
            op = all_ops().get(stored.evaluation.op)
            if op is None:
                evidence.left_out[f"op '{stored.evaluation.op}' is not registered here"] += 1
                continue
            _, parent = origins.get(kernel_hash, (stored.origin, stored.parent_hash))
            authors = lineage(kernel_hash, origins)
            known = KernelRecord(op, kernel_hash, stored.text, parent, authors)
            evidence.kernels[key] = known
        known.add(stored)
    return evidence


def _of_this_judge(
    attempts: Iterable[StoredEvaluation], left_out: Counter[str]
) -> Iterator[StoredEvaluation]:
    for stored in attempts:
        if stored.evaluation.judge_version == JUDGE_VERSION:
            yield stored
        else:
            left_out["judged by another version"] += 1
