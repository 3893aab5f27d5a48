"""Fine-tunes a small model by mlx-lm on an exported dataset."""

from __future__ import annotations

from foundry.training.fitting import FittingRows, fit
from foundry.training.lengths import RowLengths, lengths
from foundry.training.plan import TrainingPlan, commands, splits
from foundry.training.train import train, write_schedule

__all__ = [
    "FittingRows",
    "RowLengths",
    "TrainingPlan",
    "commands",
    "fit",
    "lengths",
    "splits",
    "train",
    "write_schedule",
]
