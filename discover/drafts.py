"""A proposed text before it is judged: identity, label, and the verdict on one that is none."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from discover.parsing import Malformed
from discover.task import Task
from foundry.errors import InvalidKernel
from foundry.judge.verdict import Diagnostic, Evaluation, Status
from foundry.kernel import parse
from foundry.store.records import Origin


@dataclass(frozen=True)
class Draft:
    """A text that was proposed, and by whom."""

    text: str
    origin: Origin


def identity(text: str) -> str:
    """Hash of a kernel file, or of a text that is none."""
    try:
        return parse(text).hash
    except InvalidKernel:
        return text_hash(text)


def text_hash(text: str) -> str:
    """SHA-256 of any text, half surrogate pairs included."""
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def label(origin: Origin) -> str:
    """Where a kernel came from, in a few words: `mutate: vec 4 -> 8`."""
    said = str(origin.detail.get("label") or "")
    # A model's label starts with its proposer's name already.
    if not said or said.split(" ")[0] == origin.name:
        return said or origin.name
    return f"{origin.name}: {said}"


def invalid(task: Task, text: str, found: Malformed) -> Evaluation:
    """The evaluation of a reply without a usable kernel."""
    return Evaluation(
        kernel_hash=text_hash(text),
        op=task.op.name,
        dtype=task.dtype,
        device_id=task.device.id,
        status=Status.INVALID,
        diagnostics=(Diagnostic(stage="parse", message=found.reason, line=found.line),),
        seed=task.seed,
    )
