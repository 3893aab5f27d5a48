"""Verified kernels as chats: `{"messages": [user, assistant]}` and no other key.

mlx-lm takes `prompt` and `completion` before `messages` when a row has both, and reads the kind of
a file off its first row; so every row has the one key. Provenance is a file of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from foundry.datasets.duplicates import SimilarityIndex, distinct
from foundry.datasets.prompt import prompt
from foundry.datasets.split import TRAIN
from foundry.datasets.teachers import Lineage, Origins, Use, lineage
from foundry.judge.verdict import JUDGE_VERSION, Status
from foundry.kernel import text_hash
from foundry.program import Device
from foundry.store.evaluations import DISPROOFS
from foundry.store.records import StoredEvaluation
from ops.dtypes import FLOAT_DTYPES
from ops.registry import all_ops
from ops.spec import Op


@dataclass(frozen=True)
class Proof:
    """One evaluation that a kernel passed, without its samples."""

    evaluation_id: int
    run_id: int
    dtype: str
    status: Status
    score: float | None
    device: Device
    judge_version: int
    seed: int


@dataclass(frozen=True)
class Example:
    """A proven kernel with all that is known of its proofs."""

    op: Op
    kernel_hash: str
    text: str
    dtypes: tuple[str, ...]
    """Element types it was proven in."""
    proofs: tuple[Proof, ...]
    """The latest evaluation per dtype and device; all of them passed."""
    lineage: Lineage

    @property
    def score(self) -> float:
        """Highest lower bound of a speedup; 0 when it was not timed. For choosing, never shown."""
        return max((proof.score or 0.0 for proof in self.proofs), default=0.0)

    def chat(self) -> dict[str, Any]:
        """The row of a training file."""
        return {
            "messages": [
                {"role": "user", "content": prompt(self.op, self.dtypes)},
                {"role": "assistant", "content": self.text},
            ]
        }


@dataclass
class Selection:
    """Examples, and why the others are not among them."""

    examples: list[Example] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


@dataclass
class _Record:
    """What the evaluations of one kernel say together."""

    op: str
    text: str
    latest: dict[tuple[str, str], Proof | None] = field(default_factory=dict)
    """By dtype and device; None for a failure."""
    disproved: set[str] = field(default_factory=set)
    """Dtypes."""

    def add(self, stored: StoredEvaluation) -> None:
        """Take in the next evaluation, in the order in which they were saved."""
        evaluation = stored.evaluation
        key = (evaluation.dtype, evaluation.device_id)
        self.latest[key] = _proof(stored) if evaluation.status.passed else None
        if evaluation.status in DISPROOFS:
            self.disproved.add(evaluation.dtype)

    def proofs(self) -> tuple[Proof, ...]:
        """Proofs in the dtypes that nothing speaks against."""
        failed = {dtype for (dtype, _), proof in self.latest.items() if proof is None}
        doubtful = failed | self.disproved
        found = (proof for proof in self.latest.values() if proof is not None)
        return tuple(proof for proof in found if proof.dtype not in doubtful)


def select(
    attempts: Iterable[StoredEvaluation],
    origins: Origins,
    *,
    statuses: Collection[Status] = (Status.CORRECT, Status.FASTER),
    uses: Collection[Use] = tuple(Use),
) -> Selection:
    """Proven, distinct kernels in a fixed order.

    A kernel counts in the dtypes in which its latest evaluation on every device passed and no
    evaluation of this judge version disproves it.
    """
    selection = Selection()
    records: dict[str, _Record] = {}
    for stored in attempts:
        evaluation = stored.evaluation
        if evaluation.judge_version != JUDGE_VERSION:
            selection.left_out["judged by another version"] += 1
            continue
        record = records.setdefault(evaluation.kernel_hash, _Record(evaluation.op, stored.text))
        record.add(stored)
    found: list[Example] = []
    for kernel_hash, record in records.items():
        example = _example(kernel_hash, record, origins)
        reason = example if isinstance(example, str) else _unwanted(example, statuses, uses)
        if reason:
            selection.left_out[reason] += 1
        elif isinstance(example, Example):
            found.append(example)
    _keep_distinct(selection, found)
    return selection


def _example(kernel_hash: str, record: _Record, origins: Origins) -> Example | str:
    op = all_ops().get(record.op)
    if op is None:
        return f"op '{record.op}' is not registered here"
    proofs = record.proofs()
    if not proofs:
        return "not verified"
    dtypes = tuple(sorted({proof.dtype for proof in proofs}, key=_dtype_order))
    return Example(op, kernel_hash, record.text, dtypes, proofs, lineage(kernel_hash, origins))


def _unwanted(example: Example, statuses: Collection[Status], uses: Collection[Use]) -> str | None:
    if not any(proof.status in statuses for proof in example.proofs):
        return f"not {' or '.join(statuses)}"
    if example.lineage.use not in uses:
        return f"training use is {example.lineage.use}"
    return None


def _keep_distinct(selection: Selection, found: list[Example]) -> None:
    """Per op, the fastest of each group of duplicates."""
    for name in sorted({example.op.name for example in found}):
        of_op = [example for example in found if example.op.name == name]
        of_op.sort(key=lambda example: (-example.score, example.kernel_hash))
        kept, equal, near = distinct(of_op)
        selection.examples += sorted(kept, key=lambda example: example.kernel_hash)
        selection.left_out.update({"duplicate": equal, "near duplicate": near})


def splits(selection: Selection, families: Mapping[str, str]) -> dict[str, list[Example]]:
    """Examples by split; what is near to a training row is taken out of the other splits."""
    parts: dict[str, list[Example]] = {}
    for example in selection.examples:
        parts.setdefault(families[example.op.family], []).append(example)
    training = SimilarityIndex([example.text for example in parts.get(TRAIN, ())])
    for name in parts.keys() - {TRAIN}:
        clean = [example for example in parts[name] if not training.has_near(example.text)]
        selection.left_out["near a training row"] += len(parts[name]) - len(clean)
        parts[name] = clean
    return parts


def provenance(example: Example, split: str, line: int) -> dict[str, Any]:
    """Where row `line` (from 1) of a split comes from."""
    return {
        "split": split,
        "line": line,
        "op": example.op.name,
        "family": example.op.family,
        "kernel_hash": example.kernel_hash,
        "answer_sha256": text_hash(example.text),
        "dtypes": list(example.dtypes),
        "teachers": list(example.lineage.teachers),
        "training_use": example.lineage.use.value,
        "licence": example.lineage.licence,
        "proofs": [_proof_row(proof) for proof in example.proofs],
    }


def _proof(stored: StoredEvaluation) -> Proof:
    evaluation = stored.evaluation
    return Proof(
        evaluation_id=stored.id,
        run_id=stored.run_id,
        dtype=evaluation.dtype,
        status=evaluation.status,
        score=evaluation.score,
        device=stored.device,
        judge_version=evaluation.judge_version,
        seed=evaluation.seed,
    )


def _proof_row(proof: Proof) -> dict[str, Any]:
    device = proof.device
    about = {"device_id": device.id, "device_kind": device.kind, "device_name": device.name}
    own = {name: getattr(proof, name) for name in Proof.__dataclass_fields__ if name != "device"}
    return own | {"status": proof.status.value} | about


def _dtype_order(dtype: str) -> tuple[int, str]:
    known = FLOAT_DTYPES.index(dtype) if dtype in FLOAT_DTYPES else len(FLOAT_DTYPES)
    return known, dtype
