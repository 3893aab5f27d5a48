"""What the judge says of an authored kernel, kept beside its op."""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path

from foundry import engines
from foundry.authoring.keeping import write_whole
from foundry.harness.processes.pool import WorkerPool
from foundry.judge.judge import Judge
from foundry.judge.options import JudgeOptions
from foundry.judge.verdict import JUDGE_VERSION, Evaluation, Status
from foundry.kernel import Kernel
from ops.spec import Op

_LASTING = (Status.INVALID, Status.SANITIZER_ERROR, Status.WRONG_RESULT, Status.REJECTED)
"""Verdicts against a kernel that say the same on a machine with nothing else to do."""


def proven(op: Op, kernel: Kernel, dtype: str, device: str, file: Path) -> Evaluation:
    """The evaluation of a kernel, from disk where this judge has made it already."""
    found = engines.get(device).device()
    kept = file.with_name(f"{op.name}.{dtype}.{found.id}.json")
    with contextlib.suppress(OSError, ValueError):
        known = Evaluation.model_validate_json(kept.read_text())
        is_same = known.judge_version == JUDGE_VERSION and known.kernel_hash == kernel.hash
        if is_same and _lasts(known):
            return known
    with WorkerPool(device) as pool:
        judge = Judge(pool, JudgeOptions(timed=False))
        evaluation = judge.evaluate(kernel, op, dtype, secrets.randbelow(2**31))
    if _lasts(evaluation):
        write_whole(kept, evaluation.model_dump_json())
    return evaluation


def _lasts(evaluation: Evaluation) -> bool:
    return evaluation.status.passed or evaluation.status in _LASTING
