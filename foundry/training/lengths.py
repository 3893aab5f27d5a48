"""How long the rows of a dataset are for a model, counted by its own tokenizer as mlx-lm counts.

Loss is taken of answers alone. A row whose prompt fills all that is read leaves no answer: the loss
of its batch is 0 / 0, and from then on every weight is NaN.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from foundry.datasets.rows import lines_of
from foundry.errors import EnvironmentUnusable, UsageError, first_line


@dataclass(frozen=True)
class RowLengths:
    """The rows of one split, in tokens."""

    rows: int
    longest: int
    longest_prompt: int
    cut: int
    """Rows of which the end is not read."""
    without_answer: int
    """Rows of which no token of the answer is read."""


def lengths(folder: Path, split: str, model: str, most_tokens: int) -> RowLengths:
    """Count the tokens of a split.

    Raises:
        UsageError: The rows are no chats that mlx-lm reads.
        EnvironmentUnusable: The tokenizer of the model cannot be loaded.
    """
    path = folder / f"{split}.jsonl"
    found = counted(path, tokenizer_of(model))
    return RowLengths(
        rows=len(found),
        longest=max(whole for whole, _ in found),
        longest_prompt=max(prompt for _, prompt in found),
        cut=sum(whole > most_tokens for whole, _ in found),
        without_answer=sum(prompt >= most_tokens for _, prompt in found),
    )


def tokenizer_of(model: str) -> Any:
    """The tokenizer of a model, as mlx-lm loads it.

    Raises:
        EnvironmentUnusable: It cannot be loaded.
    """
    utils: Any = importlib.import_module("mlx_lm.utils")
    try:
        return utils.load_tokenizer(model)
    except Exception as error:
        raise EnvironmentUnusable(
            f"mlx-lm cannot load the tokenizer of {model}: {first_line(error)}.",
            "Name a folder with config.json, weights and tokenizer, or a model that is on a hub.",
        ) from error


def counted(path: Path, tokenizer: Any) -> Sequence[tuple[int, int]]:
    """Tokens of every row, and of its prompt.

    Raises:
        UsageError: The rows are no chats that mlx-lm reads.
    """
    from mlx_lm.tuner.datasets import create_dataset

    try:
        rows = [json.loads(line) for line in lines_of(path)]
        dataset = create_dataset(rows, tokenizer, SimpleNamespace(mask_prompt=True))
        processed = [dataset.process(row) for row in rows]
    except Exception as error:
        raise UsageError(f"{path} holds no chats that mlx-lm reads: {error}") from error
    return [(len(tokens), prompt) for tokens, prompt in processed]
