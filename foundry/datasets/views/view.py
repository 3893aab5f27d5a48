"""What a view is, what its rows share, and what it left out."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from foundry.datasets.attempts import INTEGER, TEXT
from foundry.datasets.choice import Choice
from foundry.datasets.evidence import Evidence, KernelRecord
from foundry.datasets.labels import CANARY
from foundry.datasets.pool import Pool
from foundry.datasets.teachers import joined
from foundry.prompts.build import Prompt
from foundry.store.records import StoredEvaluation

CHAT = [{"role": TEXT, "content": TEXT}]

SHARED: Mapping[str, Any] = {
    "id": TEXT,
    "view": TEXT,
    "op": TEXT,
    "family": TEXT,
    "dtype": TEXT,
    "kernel_hash": TEXT,
    "parent_hash": TEXT,
    "status": TEXT,
    "method": TEXT,
    "judge_version": INTEGER,
    "device_id": TEXT,
    "device_kind": TEXT,
    "device_name": TEXT,
    "teachers": [TEXT],
    "training_use": TEXT,
    "licence": TEXT,
    "canary": TEXT,
}
"""Columns that every row of every view ends with."""

Row = dict[str, Any]


@dataclass
class Material:
    """What a view makes rows of: one split at a time."""

    pool: Pool
    evidence: Evidence
    choice: Choice
    left_out: Counter[str] = field(default_factory=Counter)
    """Why what could have been a row is none."""


@dataclass(frozen=True)
class View:
    """One way to read the dataset."""

    name: str
    about: str
    """What a row is, for the card."""
    columns: Mapping[str, Any]
    """Columns before the shared ones, with their kinds."""
    rows: Callable[[Material], Iterator[Row]]

    @property
    def schema(self) -> dict[str, Any]:
        """Every column with its kind."""
        return {**self.columns, **SHARED}


def row(
    view: str,
    content: Row,
    known: KernelRecord,
    stored: StoredEvaluation,
    method: str,
    beside: Sequence[KernelRecord] = (),
    **instead: Any,
) -> Row:
    """A row: its content, then where it comes from.

    Args:
        view: Name of the view.
        content: What is read in training.
        known: The kernel that the row teaches or speaks of.
        stored: The evaluation that its label rests on.
        method: How the label was found.
        beside: Other kernels that the row shows; their authors count too.
        instead: Shared columns that are not those of kernel and evaluation.
    """
    evaluation, device = stored.evaluation, stored.device
    authors = joined([known.lineage, *(other.lineage for other in beside)])
    told = hashlib.sha256(repr((view, sorted(content.items()), known.kernel_hash)).encode())
    shared = {
        "id": f"{view}-{told.hexdigest()[:16]}",
        "view": view,
        "op": known.op.name,
        "family": known.op.family,
        "dtype": evaluation.dtype,
        "kernel_hash": known.kernel_hash,
        "parent_hash": known.parent,
        "status": evaluation.status.value,
        "method": method,
        "judge_version": evaluation.judge_version,
        "device_id": device.id,
        "device_kind": device.kind,
        "device_name": device.name,
        "teachers": list(authors.teachers),
        "training_use": authors.use.value,
        "licence": authors.licence,
        "canary": CANARY,
    }
    return {**content, **shared, **instead}


def of_chip(name: str) -> Row:
    """The columns of a prediction's device, which is none that anything ran on."""
    return {"device_id": None, "device_kind": "metal", "device_name": name}


def fenced(text: str) -> str:
    """A kernel as an answer holds it."""
    return f"```metal\n{text.rstrip()}\n```\n"


def asked(prompt: Prompt) -> list[dict[str, str]]:
    """A prompt as the messages of a chat."""
    return [
        {"role": "system", "content": prompt.system},
        {"role": "user", "content": prompt.user},
    ]


def answered(prompt: Prompt, answer: str) -> list[dict[str, str]]:
    """A whole chat."""
    return [*asked(prompt), {"role": "assistant", "content": answer}]


def drawn(key: str, seed: int, below: int) -> int:
    """A number that is the same for the same key and seed."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{key}".encode()).digest()[:6]) % below
