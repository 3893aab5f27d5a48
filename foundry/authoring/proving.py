"""What the judge says of an authored kernel, kept beside its op."""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path

from foundry import engines
from foundry.harness.processes.pool import WorkerPool
from foundry.judge.judge import Judge
from foundry.judge.options import JudgeOptions
from foundry.judge.verdict import JUDGE_VERSION, Evaluation
from foundry.kernel import Kernel
from ops.spec import Op


def proven(op: Op, kernel: Kernel, dtype: str, device: str, file: Path) -> Evaluation:
    """The evaluation of a kernel, from disk where this judge has made it already."""
    found = engines.get(device).device()
    kept = file.with_name(f"{op.name}.{dtype}.{found.id}.json")
    with contextlib.suppress(OSError, ValueError):
        known = Evaluation.model_validate_json(kept.read_text())
        if known.judge_version == JUDGE_VERSION and known.kernel_hash == kernel.hash:
            return known
    with WorkerPool(device) as pool:
        judge = Judge(pool, JudgeOptions(timed=False))
        evaluation = judge.evaluate(kernel, op, dtype, secrets.randbelow(2**31))
    kept.write_text(evaluation.model_dump_json())
    return evaluation
