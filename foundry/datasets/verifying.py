"""Judges the kernels of a dataset file again: does what its rows say of them still hold?

A kernel that a row calls right must pass on inputs that are drawn now; one that it calls broken
must fail; and each has the hash that the row states. How it fails may differ: which fault is met
first depends on what is drawn.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundry.datasets.leaks import leaks
from foundry.datasets.requested import KEY
from foundry.datasets.rows import Claim, Row, claims
from foundry.datasets.stated import of_export
from foundry.judge.judge import Judge
from foundry.judge.verdict import Evaluation
from ops import registry

_ANOTHER = "and its hash is that of another kernel"


@dataclass(frozen=True)
class Checked:
    """A claim of a row, and the verdict now."""

    row: str
    claim: Claim
    evaluation: Evaluation | None
    """None where nobody here can judge it."""
    unjudged: str = ""
    """Why nobody can."""

    @property
    def holds(self) -> bool:
        """Whether the row is right."""
        found = self.evaluation
        return bool(found and found.status.passed == self.claim.is_right and self.is_itself)

    @property
    def is_itself(self) -> bool:
        """Whether the kernel is the one that the row names by its hash."""
        stated, found = self.claim.identity, self.evaluation
        return stated is None or found is None or stated == found.kernel_hash

    def document(self) -> dict[str, Any]:
        """For `--json`, and for what is said of a row that is wrong."""
        found = self.evaluation
        return {
            "row": self.row,
            "op": self.claim.op,
            "dtype": self.claim.dtype,
            "claimed": "right" if self.claim.is_right else "broken",
            "status": str(found.status) if found else self.unjudged,
            "why": (found.why if found else "") if self.is_itself else _ANOTHER,
        }


def timed_by_request(file: Path) -> frozenset[str]:
    """Ids of workloads that the export of a file was asked to time, as its metadata states."""
    stated = of_export(file)[0].get(KEY)
    return frozenset(map(str, stated)) if isinstance(stated, list) else frozenset()


def sampled(rows: Sequence[Row], count: int | None, seed: int) -> list[tuple[str, Row]]:
    """Some rows with their names, in order; all of them for None."""
    numbers = range(len(rows))
    if count is not None and count < len(rows):
        numbers = sorted(random.Random(seed).sample(numbers, count))  # type: ignore[assignment]
    return [(str(rows[n].get("id") or f"row {n + 1}"), rows[n]) for n in numbers]


def check(
    rows: Sequence[tuple[str, Row]],
    judge: Judge,
    workers: int,
    progress: Callable[[Checked], None] = lambda _: None,
) -> Iterator[Checked]:
    """Judge every kernel that rows speak of, each once, several at a time."""
    wanted: dict[Claim, str] = {}
    for name, row in rows:
        for claim in claims(row):
            wanted.setdefault(claim, name)

    def judged(claim: Claim) -> Checked:
        op = registry.all_ops().get(claim.op)
        if op is None:
            return Checked(wanted[claim], claim, None, "op is not registered here")
        if claim.dtype not in op.dtypes:
            return Checked(wanted[claim], claim, None, f"op has no element type '{claim.dtype}'")
        return Checked(wanted[claim], claim, judge.evaluate(claim.text, op, claim.dtype))

    threads = ThreadPoolExecutor(workers)
    try:
        # Those of one op share what the oracle knows.
        for one in threads.map(judged, sorted(wanted, key=lambda c: (c.op, c.dtype))):
            progress(one)
            yield one
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def leaking(rows: Sequence[tuple[str, Row]], timed: Collection[str] = ()) -> dict[str, list[str]]:
    """What rows hold that must not leave the house, by the name of the row.

    Args:
        rows: Rows with their names.
        timed: Ids of workloads that may be named though they are none of an op's.
    """
    found = {name: list(leaks(row, timed=timed)) for name, row in rows}
    return {name: what for name, what in found.items() if what}
