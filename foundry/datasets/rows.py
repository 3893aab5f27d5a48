"""Reads the rows of a dataset file back, and the kernels that each of them makes a claim about."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundry.datasets.attempts import VERDICTS_OF_MACHINES
from foundry.datasets.files import read_parquet
from foundry.errors import UsageError
from foundry.judge.verdict import Status

Row = Mapping[str, Any]
_FENCE = "```"


@dataclass(frozen=True)
class Claim:
    """What a row says of one kernel."""

    text: str
    op: str
    dtype: str
    is_right: bool
    identity: str | None = None
    """Hash of the kernel, as the row states it; None where it states none."""


def lines_of(path: Path) -> list[str]:
    """The lines of a JSON Lines file: what other writers put into strings ends none of them.

    Raises:
        OSError, ValueError: It cannot be read, or is no UTF-8.
    """
    # str.splitlines would also split at U+2028, which JSON may hold as it is.
    text = path.read_text("utf-8-sig").removesuffix("\n")
    return text.split("\n") if text else []


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a `.jsonl` or `.parquet` file of a dataset.

    Raises:
        UsageError: Not such a file, or not one of a dataset.
    """
    try:
        if path.suffix == ".parquet":
            rows = read_parquet(path)
        else:
            rows = [json.loads(line) for line in lines_of(path)]
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} holds no rows of a dataset: {error}") from error
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict) or not {"op", "dtype"} <= row.keys():
            raise UsageError(f"{path}, row {number}: no row of a dataset, it lacks op or dtype")
    return rows


def claims(row: Row) -> tuple[Claim, ...]:
    """What a row claims: kernels that are right, and such that are not.

    Raises:
        UsageError: A row of no view.
    """
    try:
        found = tuple(_claims(row))
        if not all(isinstance(claim.text, str) for claim in found):
            raise TypeError("a kernel is a text")
        return found
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        name = row.get("id") or f"a row of {row['op']}"
        raise UsageError(f"{name} is no row of a dataset: {error!r}") from error


def _claims(row: Row) -> Iterator[Claim]:
    op, dtype, identity = str(row["op"]), str(row["dtype"]), row.get("kernel_hash")
    if "kernel" in row:
        status = Status(row["status"])
        if status not in VERDICTS_OF_MACHINES:
            yield Claim(row["kernel"], op, dtype, status.passed, identity)
    elif "completion" in row:
        yield Claim(row["prompt"] + row["completion"], op, dtype, True, identity)
    elif "chosen" in row:
        yield Claim(_kernel_in(row["chosen"]), op, dtype, True, identity)
        yield Claim(_kernel_in(row["rejected"]), op, dtype, True, row.get("rejected_hash"))
    elif row.get("view") == "explain":
        yield Claim(_kernel_in(row["messages"][:2]), op, dtype, True, identity)
    else:
        yield Claim(_kernel_in(row["messages"]), op, dtype, True, identity)
        if row.get("view") == "repair" and Status(row["fault"]) not in VERDICTS_OF_MACHINES:
            # Its hash is of the text before a chat took empty last lines away.
            yield Claim(_kernel_in(row["messages"][:2]), op, dtype, is_right=False)


def _kernel_in(messages: list[Mapping[str, str]]) -> str:
    """The first fenced kernel of the last message; empty where there is none."""
    content = messages[-1]["content"]
    _, found, rest = content.partition(f"{_FENCE}metal\n")
    return rest.partition(f"\n{_FENCE}")[0] + "\n" if found else ""
