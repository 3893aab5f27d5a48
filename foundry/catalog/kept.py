"""Verdicts that a build has already, for one that was cut short: it goes on where it stopped.

They lie beside the wheel, a line each, until one that holds them is written: a wheel of few ops
does not cost a build of all that was cut short. One that did not pass is not kept: it may have been
the machine, and is asked again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from foundry.catalog.entry import CatalogEntry
from foundry.judge.verdict import JUDGE_VERSION, Evaluation

Judging = Callable[[CatalogEntry], Evaluation]
Key = tuple[str, str, str]


@dataclass(frozen=True)
class Kept:
    """The verdicts of one catalog on one device."""

    path: Path
    device_id: str

    def judging(self, judge: Judging) -> Judging:
        """The same judge, which is not asked what an earlier build asked it."""
        known = self._known()

        def judged(entry: CatalogEntry) -> Evaluation:
            if (found := known.get(_key(entry))) is not None:
                return found
            found = judge(entry)
            if found.status.passed:
                self._keep(found)
            return found

        return judged

    def forget(self, entries: Iterable[CatalogEntry]) -> None:
        """Remove the verdicts of some entries, whose wheel is there, and an empty file."""
        gone = set(map(_key, entries))
        rest = [found for key, found in self._known().items() if key not in gone]
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
        for found in rest:
            self._keep(found)

    def _known(self) -> dict[Key, Evaluation]:
        with suppress(OSError):
            lines = self.path.read_text(encoding="utf-8").splitlines()
            found = [one for line in lines if (one := self._read(line)) is not None]
            return {(e.kernel_hash, e.op, e.dtype): e for e in found}
        return {}

    def _read(self, line: str) -> Evaluation | None:
        """None for a line that was cut short, or is of another judge or device."""
        with suppress(ValueError, KeyError, TypeError, ValidationError):
            row = json.loads(line)
            if row["judge_version"] == JUDGE_VERSION:
                found = Evaluation.model_validate(row["evaluation"])
                return found if found.device_id == self.device_id else None
        return None

    def _keep(self, evaluation: Evaluation) -> None:
        """Where the folder cannot be written, nothing is kept, and writing the wheel says so."""
        row = {"judge_version": JUDGE_VERSION, "evaluation": evaluation.model_dump(mode="json")}
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")


def _key(entry: CatalogEntry) -> Key:
    return entry.kernel.hash, entry.op.name, entry.evaluation.dtype
