"""What is trained on what, and the command lines of mlx-lm that do it.

The commands are the whole of it: what is printed is what runs, and can be run without this project.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundry.errors import UsageError

TRAIN = "train"
SPLITS = (TRAIN, "valid", "test")


@dataclass(frozen=True)
class TrainingPlan:
    """One fine-tuning."""

    data: Path
    """Folder with `train.jsonl` and, where there are such rows, `valid.jsonl` and `test.jsonl`."""
    model: str
    """A folder, or a name on a hub, as mlx-lm takes it."""
    adapter: Path
    """Folder for the adapter."""
    iterations: int = 200
    batch: int = 1
    """Rows of an iteration."""
    layers: int = -1
    """Layers from the last one down that are trained; -1: all."""
    most_tokens: int = 2048
    """Longer rows are cut there."""
    learning_rate: float = 5e-5
    """The highest one; see `schedule`."""
    seed: int = 0
    checkpoint: bool = True
    """Activations are computed anew in the backward pass: less memory, more time."""
    resume: Path | None = None
    """Weights of an adapter to go on from; the optimiser begins anew."""


def splits(data: Path) -> tuple[str, ...]:
    """The splits that a folder has.

    Raises:
        UsageError: It has no `train.jsonl`, or one that is empty.
    """
    found = tuple(name for name in SPLITS if _has_rows(data / f"{name}.jsonl"))
    if TRAIN not in found:
        raise UsageError(
            f"{data} has no rows in train.jsonl; export them: foundry export-sft -o {data}, or name"
            " the folder of one view, such as sft, of foundry data build"
        )
    return found


def _has_rows(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def schedule_file(plan: TrainingPlan) -> Path:
    """Where the schedule is written: mlx-lm has no option for it, and reads a file."""
    return plan.adapter / "schedule.json"


def schedule(plan: TrainingPlan) -> dict[str, Any]:
    """How the learning rate goes, in the words of mlx-lm's configuration.

    It rises over the first twentieth of the iterations and falls to a tenth along a cosine: at a
    constant rate the loss of small batches left its way after 20 steps (docs/log.md).
    """
    rising = max(1, plan.iterations // 20)
    falling = max(1, plan.iterations - rising)
    highest = plan.learning_rate
    return {
        "lr_schedule": {
            "name": "cosine_decay",
            "warmup": rising,
            "arguments": [highest, falling, highest / 10],
        }
    }


def commands(plan: TrainingPlan, there: Collection[str]) -> list[tuple[str, ...]]:
    """The commands, in order: train, then the loss on the test rows where there are any.

    Args:
        plan: What is trained.
        there: The splits that the folder has.
    """
    begin = (sys.executable, "-m", "mlx_lm", "lora", "--model", plan.model)
    shared = (
        *("--data", str(plan.data), "--adapter-path", str(plan.adapter), "--mask-prompt"),
        *("--batch-size", str(plan.batch), "--max-seq-length", str(plan.most_tokens)),
        *("--num-layers", str(plan.layers), "--seed", str(plan.seed)),
    )
    training: tuple[str, ...] = (
        *("--train", "--iters", str(plan.iterations), "--config", str(schedule_file(plan))),
        *("--save-every", str(max(1, plan.iterations // 4))),
    )
    if plan.checkpoint:
        training = (*training, "--grad-checkpoint")
    if plan.resume is not None:
        training = (*training, "--resume-adapter-file", str(plan.resume))
    found: list[tuple[str, ...]] = [(*begin, *shared, *training)]
    if "test" in there:
        found.append((*begin, *shared, "--test"))
    return found
