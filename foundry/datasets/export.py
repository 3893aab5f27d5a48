"""Writes a dataset into a folder: the rows, then `README.md`, then `metadata.json`.

`metadata.json` comes last and holds the SHA-256 of every file, so an export that was cut short is
seen as such. A second export into the same folder replaces the first; what no export wrote is not
touched, be it rows or somebody's own README: the folder is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from itertools import chain, product
from pathlib import Path
from typing import Any, Literal

from foundry.datasets import attempts as table
from foundry.datasets import card, files
from foundry.datasets.choice import Choice
from foundry.datasets.evidence import gather
from foundry.datasets.pool import Pools, pools
from foundry.datasets.requested import Requested
from foundry.datasets.split import SPLITS, TRAIN
from foundry.datasets.teachers import Origins, lineage
from foundry.datasets.views import sft
from foundry.datasets.views.registry import VIEWS
from foundry.datasets.views.view import Material, Row, View
from foundry.errors import UsageError, unknown
from foundry.judge.verdict import JUDGE_VERSION
from foundry.store.records import StoredEvaluation

Format = Literal["jsonl", "parquet"]
FORMATS: tuple[Format, ...] = ("jsonl", "parquet")
ATTEMPTS = "attempts"


@dataclass(frozen=True)
class Exported:
    """What was written."""

    folder: Path
    rows: int
    files: Mapping[str, int]
    """Rows by file name."""
    notes: tuple[str, ...]
    """What whoever uses the rows has to know."""
    metadata: Mapping[str, Any]


def export_attempts(
    evaluations: Iterable[StoredEvaluation],
    origins: Origins,
    folder: Path,
    formats: Sequence[Format] = ("jsonl",),
    *,
    now: datetime | None = None,
) -> Exported:
    """Write one row per evaluation, every status, as `attempts.jsonl` and `attempts.parquet`.

    Args:
        evaluations: What to export: `Store.evaluations(...)`. Read once per format.
        origins: `Store.origins()`.
        folder: Where to.
        formats: `jsonl`, `parquet` (needs pyarrow).
        now: Time of the export; by default the clock's.

    Raises:
        UsageError: No evaluations, or an unknown format.
        EnvironmentUnusable: pyarrow is missing, or the folder cannot be written.
    """
    for name in formats or ("none",):
        if name not in FORMATS:
            raise unknown("format", name, FORMATS)
    chosen = _not_empty(evaluations, keep=len(formats) > 1)
    check_folder(folder)
    written, requested = card.WrittenFiles(folder), Requested()
    for name in FORMATS:
        path = folder / f"{ATTEMPTS}.{name}"
        if name not in formats:
            continue
        tally = card.RowTally()
        rows = tally.over(table.row(one, _lineage(one, origins)) for one in requested.over(chosen))
        written.add(_write(path, rows, table.SCHEMA), path, ATTEMPTS, TRAIN, tally)
    about = {ATTEMPTS: table.ABOUT}
    return _finish(written, card.CardFacts("attempts", about, more=requested.facts()), now)


def _lineage(stored: StoredEvaluation, origins: Origins) -> Any:
    return lineage(stored.evaluation.kernel_hash, origins)


def _not_empty(
    evaluations: Iterable[StoredEvaluation], *, keep: bool
) -> Iterable[StoredEvaluation]:
    """The same evaluations; as a list when they are read more than once."""
    rows = iter(evaluations)
    first = next(rows, None)
    if first is None:
        raise UsageError("no evaluations to export; loosen the filters, or run a search first")
    return [first, *rows] if keep else chain([first], rows)


def export_sft(
    evaluations: Iterable[StoredEvaluation],
    origins: Origins,
    folder: Path,
    choice: Choice | None = None,
    *,
    now: datetime | None = None,
) -> Exported:
    """Write verified kernels as chats: `train.jsonl`, `valid.jsonl`, `test.jsonl`.

    A split without rows has no file: mlx-lm stumbles over an empty one.

    Args:
        evaluations: All evaluations that may speak for or against a kernel.
        origins: `Store.origins()`.
        folder: Where to.
        choice: What is kept.
        now: Time of the export; by default the clock's.

    Raises:
        UsageError: No verified kernels, or families that do not fit.
        EnvironmentUnusable: The folder cannot be written.
    """
    export = _Export(evaluations, origins, choice or Choice(), folder)
    export.view(sft.VIEW, folder, ("jsonl",))
    return export.finish("sft", now)


def export_dataset(
    evaluations: Sequence[StoredEvaluation],
    origins: Origins,
    folder: Path,
    choice: Choice | None = None,
    *,
    views: Sequence[str] = tuple(VIEWS),
    now: datetime | None = None,
) -> Exported:
    """Write the canonical table and its views, each in a folder of its own, split alike.

    Views are there as JSON Lines and, where pyarrow is installed, as Parquet too.

    Args:
        evaluations: All evaluations that may speak for or against a kernel.
        origins: `Store.origins()`.
        folder: Where to.
        choice: What is kept.
        views: Names of views.
        now: Time of the export; by default the clock's.

    Raises:
        UsageError: No verified kernels, an unknown view, or families that do not fit.
        EnvironmentUnusable: pyarrow is missing, or the folder cannot be written.
    """
    for name in views:
        if name not in VIEWS:
            raise unknown("view", name, VIEWS)
    export = _Export(evaluations, origins, choice or Choice(), folder)
    export.attempts(evaluations, origins)
    for name in views:
        # mlx-lm reads the one; a hub reads all tables of a dataset in one format.
        export.view(VIEWS[name], folder / name, ("jsonl", _canonical()))
    return export.finish("dataset", now)


class _Export:
    """One export under way: what is dealt to which split, and what is written so far."""

    def __init__(
        self,
        evaluations: Iterable[StoredEvaluation],
        origins: Origins,
        choice: Choice,
        folder: Path,
    ) -> None:
        self._choice = choice
        self._requested = Requested()
        self._evidence = gather(self._requested.over(evaluations), origins)
        self._pools: Pools = pools(self._evidence, choice)
        check_folder(folder)
        self._written = card.WrittenFiles(folder)
        self._about: dict[str, str] = {}
        self._left_out: dict[str, dict[str, int]] = {}
        if not any(pool.proven for pool in self._pools.by_split.values()):
            raise UsageError(f"no verified kernels to export ({_reasons(self._pools.left_out)})")

    def attempts(self, evaluations: Iterable[StoredEvaluation], origins: Origins) -> None:
        """Write the canonical table: every evaluation of a kernel that some split may show."""
        self._about[ATTEMPTS] = table.ABOUT
        of_split: dict[str, list[StoredEvaluation]] = {name: [] for name in SPLITS}
        of_this_judge = (e for e in evaluations if e.evaluation.judge_version == JUDGE_VERSION)
        for one in of_this_judge:
            for name, pool in self._pools.by_split.items():
                if pool.holds(one.evaluation):
                    of_split[name].append(one)
        for name, chosen in of_split.items():
            rows = (table.row(one, _lineage(one, origins)) for one in chosen)
            folder = self._written.folder / ATTEMPTS
            self._add(folder, name, rows, table.SCHEMA, ATTEMPTS, (_canonical(),))

    def view(self, view: View, folder: Path, formats: Sequence[Format]) -> None:
        """Write a view, for each split that has rows."""
        self._about[view.name] = view.about
        left_out = Counter[str]()
        for name in SPLITS:
            material = Material(self._pools.by_split[name], self._evidence, self._choice)
            rows = list(view.rows(material))
            self._add(folder, name, rows, view.schema, view.name, formats)
            left_out.update(material.left_out)
        self._left_out[view.name] = {reason: n for reason, n in sorted(left_out.items()) if n}

    def _add(
        self,
        folder: Path,
        split: str,
        rows: Iterable[Row],
        schema: Mapping[str, Any],
        config: str,
        formats: Sequence[Format],
    ) -> None:
        """Write the rows of a split in each format, the last of which may be read but once."""
        found = iter(rows)
        first = next(found, None)
        for name in FORMATS:
            path = folder / f"{split}.{name}"
            if first is None or name not in formats:
                continue
            tally = card.RowTally()
            again = rows if isinstance(rows, list) else chain([first], found)
            count = _write(path, tally.over(again), schema)
            self._written.add(count, path, config, split, tally)

    def finish(self, kind: str, now: datetime | None) -> Exported:
        facts = card.CardFacts(
            kind,
            self._about,
            notes=self._notes(),
            more={
                "families": dict(self._pools.families),
                "held_out": sorted(self._choice.hold_out),
                "kernels_left_out": self._pools.left_out,
                "rows_left_out": self._left_out,
                **self._requested.facts(),
            },
        )
        return _finish(self._written, facts, now)

    def _notes(self) -> list[str]:
        notes = []
        missing = [name for name, pool in self._pools.by_split.items() if not pool.proven]
        if missing:
            notes.append(
                f"No rows for {' and '.join(missing)}: splits go by op family, and there are too "
                "few. Verify kernels of more families."
            )
        for view, why in self._left_out.items():
            if view not in self._written.by_config:
                reasons = f" ({_reasons(why)})" if why else ""
                notes.append(f"No rows for the view {view}{reasons}.")
        return notes


def _canonical() -> Format:
    """Parquet, where its library is installed."""
    return "parquet" if find_spec("pyarrow") else "jsonl"


def _write(path: Path, rows: Iterable[Mapping[str, Any]], schema: Mapping[str, Any]) -> int:
    if path.suffix == ".parquet":
        return files.write_parquet(path, rows, schema)
    return files.write_jsonl(path, rows)


def _finish(written: card.WrittenFiles, facts: card.CardFacts, now: datetime | None) -> Exported:
    for path in _of_any_export(written.folder):
        if str(path.relative_to(written.folder)) not in written.files:
            path.unlink(missing_ok=True)
    for name in ("", ATTEMPTS, *VIEWS):
        files.remove_abandoned(written.folder / name)
    found = card.metadata(facts, written, now or datetime.now(UTC))
    files.write_text(written.folder / card.README, card.readme(found, written))
    files.write_text(written.folder / card.METADATA, card.render_json(found))
    rows = {name: one.rows for name, one in written.files.items()}
    return Exported(written.folder, written.tally.rows, rows, tuple(found["notes"]), found)


def check_folder(folder: Path) -> None:
    """Hold a folder to what exports wrote: what else has such a name is not taken away.

    Raises:
        UsageError: A file that no export wrote, such as somebody's own README.
    """
    for path in (*_of_any_export(folder), folder / card.README, folder / card.METADATA):
        if path.is_file() and not files.is_of_an_export(path):
            raise UsageError(f"no export wrote {path}; choose another folder, or move it away")


def _of_any_export(folder: Path) -> Iterator[Path]:
    """Every file of rows that some export writes: those of an earlier one have other splits."""
    for name in FORMATS:
        yield folder / f"{ATTEMPTS}.{name}"
        for part, split in product(("", ATTEMPTS, *VIEWS), SPLITS):
            yield folder / part / f"{split}.{name}"


def _reasons(left_out: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {reason}" for reason, n in left_out.items() if n) or "none judged"
