"""Gathers the rows of one or several views that a model reads whole, in one folder for mlx-lm.

A row that is cut teaches an answer without its end. What is too long for a small model, or for the
time there is, is better left out; rows of `sft` and `repair` may be learnt from together.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundry.datasets.files import write_text
from foundry.datasets.rows import lines_of
from foundry.datasets.stated import named_by_an_export
from foundry.errors import UsageError
from foundry.training.lengths import counted, tokenizer_of
from foundry.training.plan import SPLITS, TRAIN, splits


@dataclass(frozen=True)
class FittingRows:
    """What became of the rows of one split."""

    kept: int
    left_out: int
    longest: int
    """Tokens of the longest row that is kept."""


@dataclass(frozen=True)
class _Row:
    """One line of a view."""

    tokens: int
    line: str


def fit(
    folders: Sequence[Path],
    model: str,
    most_tokens: int,
    output: Path,
    per_op: int | None = None,
) -> dict[str, FittingRows]:
    """Write the rows that have at most so many tokens, as they are.

    Args:
        folders: Folders of views, each with a `train.jsonl`.
        model: Whose tokenizer counts: a folder, or a name on a hub.
        most_tokens: Of a row, prompt and answer together.
        output: Folder for the rows; a split without any has no file.
        per_op: Rows at most of one op in one task (write, improve, repair) of a split, the shortest
            ones; none: all of them.

    Raises:
        UsageError: A folder without rows, rows that are no chats, or none that is short enough; or
            an output that is a view of an export.
        EnvironmentUnusable: The tokenizer cannot be loaded, or the folder cannot be written.
    """
    if output.resolve() in {folder.resolve() for folder in folders}:
        raise UsageError(f"{output} holds the rows that are read; choose another folder")
    _check(output)
    there = {folder: splits(folder) for folder in folders}
    tokenizer = tokenizer_of(model)
    found = {}
    for split in SPLITS:
        paths = [folder / f"{split}.jsonl" for folder in folders if split in there[folder]]
        rows = [row for path in paths for row in _rows(path, tokenizer)]
        fitting = _fewer([row for row in rows if row.tokens <= most_tokens], per_op)
        if split == TRAIN and not fitting:
            shortest = min(row.tokens for row in rows)
            raise UsageError(
                f"no row of {len(rows)} fits {most_tokens} tokens; the shortest has {shortest}"
            )
        _write(output / f"{split}.jsonl", [row.line for row in fitting])
        if rows:
            longest = max((row.tokens for row in fitting), default=0)
            found[split] = FittingRows(len(fitting), len(rows) - len(fitting), longest)
    return found


def _rows(path: Path, tokenizer: Any) -> list[_Row]:
    """The lines of a file, each with its length."""
    lengths = counted(path, tokenizer)
    return [_Row(whole, line) for (whole, _), line in zip(lengths, lines_of(path), strict=True)]


def _fewer(rows: Sequence[_Row], per_op: int | None) -> list[_Row]:
    """The shortest of each op in each task, in the order they had.

    A short training then meets every op, in its plainest kernels.
    """
    if per_op is None:
        return list(rows)
    taken: Counter[tuple[Any, ...]] = Counter()
    kept = set()
    for at in sorted(range(len(rows)), key=lambda at: rows[at].tokens):
        row = json.loads(rows[at].line)
        asked = (row.get("op"), row.get("view"), row.get("task"))
        taken[asked] += 1
        if taken[asked] <= per_op:
            kept.add(at)
    return [row for at, row in enumerate(rows) if at in kept]


def _check(output: Path) -> None:
    """Refuse to take an exported view away."""
    for split in SPLITS:
        path = output / f"{split}.jsonl"
        if named_by_an_export(path):
            raise UsageError(f"{path} is of an export; choose another folder")


def _write(path: Path, lines: Sequence[str]) -> None:
    if lines:
        write_text(path, "".join(f"{line}\n" for line in lines))
    else:
        path.unlink(missing_ok=True)
