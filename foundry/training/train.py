"""Runs the commands of a plan, once nothing stands in their way.

1. The folder has rows to train on, and mlx-lm is there.
2. Every row leaves some of its answer within the tokens that are read.
3. The schedule of the learning rate is written, for mlx-lm reads it from a file.
4. The commands run one after the other; the first that fails ends it.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec

from foundry.datasets.files import write_text
from foundry.errors import EnvironmentUnusable, FoundryError, UsageError
from foundry.training.blas import advice
from foundry.training.lengths import lengths
from foundry.training.plan import TrainingPlan, commands, schedule, schedule_file, splits

Told = Callable[[str], None]


def train(
    plan: TrainingPlan, told: Told, run: Callable[[Sequence[str]], int] = subprocess.call
) -> None:
    """Fine-tune.

    Args:
        plan: What is trained on what.
        told: Takes what is worth knowing before a command runs, as text.
        run: Runs a command and gives its exit code.

    Raises:
        UsageError: No rows, or prompts that leave no answer to learn.
        EnvironmentUnusable: mlx-lm is missing, or cannot load the model.
        FoundryError: A command failed.
    """
    if find_spec("mlx_lm") is None:
        raise EnvironmentUnusable(
            "mlx-lm is not installed.", "Install it: pip install 'metal-foundry[models]'."
        )
    there = splits(plan.data)
    for split in there:
        _check(plan, split, told)
    if slow := _advice():
        told(slow)
    write_schedule(plan)
    for command in commands(plan, there):
        told(shlex.join(command))
        if code := run(command):
            raise FoundryError(f"{shlex.join(command)} ended with exit code {code}")


def write_schedule(plan: TrainingPlan) -> None:
    """Write the file of the learning rate that the commands name.

    Raises:
        EnvironmentUnusable: It cannot be written.
    """
    write_text(schedule_file(plan), json.dumps(schedule(plan)) + "\n")


def _advice() -> str | None:
    import mlx.core as mx

    device = "cpu" if mx.default_device() == mx.cpu else "gpu"
    return advice(sys.platform, device, os.environ.get("LD_PRELOAD", ""))


def _check(plan: TrainingPlan, split: str, told: Told) -> None:
    found = lengths(plan.data, split, plan.model, plan.most_tokens)
    if found.without_answer:
        raise UsageError(
            f"{found.without_answer} of {found.rows} prompts in {split}.jsonl fill "
            f"{plan.most_tokens} tokens: nothing of their answers is learnt, and the loss is NaN; "
            f"the longest row has {found.longest}: give --max-tokens {found.longest}"
        )
    if found.rows < plan.batch:
        raise UsageError(
            f"{split}.jsonl has {found.rows} rows, fewer than a batch of {plan.batch}: give "
            f"--batch {max(found.rows, 1)}, or a larger dataset"
        )
    told(
        f"{split}: {found.rows:,} rows of up to {found.longest:,} tokens, {found.cut:,} of them cut"
    )
