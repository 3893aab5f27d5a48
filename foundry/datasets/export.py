"""Writes a dataset into a folder: the rows, then `README.md`, then `metadata.json`.

`metadata.json` comes last and holds the SHA-256 of every file, so an export that was cut short is
seen as such. A second export into the same folder replaces the first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from foundry.datasets import attempts as table
from foundry.datasets import card, files, sft
from foundry.datasets.duplicates import near_available
from foundry.datasets.split import SPLITS, TEST, TRAIN, VALID, assign
from foundry.datasets.teachers import Origins, Use, lineage
from foundry.errors import UsageError, unknown
from foundry.judge.verdict import Status
from foundry.store.records import StoredEvaluation

Format = Literal["jsonl", "parquet"]
FORMATS: tuple[Format, ...] = ("jsonl", "parquet")
_PROVENANCE = "provenance.jsonl"
_HUGGING_FACE = {TRAIN: "train", VALID: "validation", TEST: "test"}


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
    written: dict[str, int] = {}
    tally = card.RowTally()
    for name in FORMATS:
        file = f"attempts.{name}"
        if name not in formats:
            (folder / file).unlink(missing_ok=True)
            continue
        tally = card.RowTally()
        rows = _attempt_rows(chosen, origins, tally)
        written[file] = (
            files.write_jsonl(folder / file, rows)
            if name == "jsonl"
            else files.write_parquet(folder / file, rows, table.SCHEMA)
        )
    facts = _facts("attempts", tally, folder, written, now)
    about = (
        "One row per evaluation of a kernel on a device, failures included: `status` says what "
        "became of it, `diagnostics` why. Rows with status `rejected` are suspected cheats. "
        "In JSON Lines, values that are no numbers are null."
    )
    return _finish(folder, facts, written, "Metal kernel attempts", about, {TRAIN: min(written)})


def _not_empty(
    evaluations: Iterable[StoredEvaluation], *, keep: bool
) -> Iterable[StoredEvaluation]:
    """The same evaluations; as a list when they are read more than once."""
    rows = iter(evaluations)
    first = next(rows, None)
    if first is None:
        raise UsageError("no evaluations to export; loosen the filters, or run a search first")
    return [first, *rows] if keep else chain([first], rows)


def _attempt_rows(
    evaluations: Iterable[StoredEvaluation], origins: Origins, tally: card.RowTally
) -> Iterator[dict[str, Any]]:
    for stored in evaluations:
        row = table.row(stored, lineage(stored.evaluation.kernel_hash, origins))
        tally.add(stored.device, stored.evaluation.judge_version)
        tally.count(
            op=row["op"],
            status=row["status"],
            dtype=row["dtype"],
            device=stored.device.id,
            teacher=row["teachers"],
            training_use=row["training_use"],
        )
        yield row


def export_sft(
    evaluations: Iterable[StoredEvaluation],
    origins: Origins,
    folder: Path,
    *,
    statuses: Collection[Status] = (Status.CORRECT, Status.FASTER),
    uses: Collection[Use] = tuple(Use),
    valid: Collection[str] = (),
    test: Collection[str] = (),
    seed: int = 0,
    now: datetime | None = None,
) -> Exported:
    """Write verified kernels as chats: `train.jsonl`, `valid.jsonl`, `test.jsonl`.

    A split without rows has no file: mlx-lm stumbles over an empty one. `provenance.jsonl` says
    where every row comes from.

    Args:
        evaluations: All evaluations that may speak for or against a kernel.
        origins: `Store.origins()`.
        folder: Where to.
        statuses: Among `correct` and `faster`: what a kernel must have reached once.
        uses: Training uses that are allowed.
        valid: Op families for `valid` instead of chosen ones.
        test: Op families for `test` instead of chosen ones.
        seed: Of the choice of families.
        now: Time of the export; by default the clock's.

    Raises:
        UsageError: No verified kernels, or families that do not fit.
        EnvironmentUnusable: The folder cannot be written.
    """
    selection = sft.select(evaluations, origins, statuses=statuses, uses=uses)
    if not selection.examples:
        raise UsageError(f"no verified kernels to export ({_reasons(selection.left_out)})")
    families = assign(
        Counter(example.op.family for example in selection.examples), seed, valid=valid, test=test
    )
    parts = {name: rows for name, rows in sft.splits(selection, families).items() if rows}
    written: dict[str, int] = {}
    for name in SPLITS:
        path = folder / f"{name}.jsonl"
        if name in parts:
            written[path.name] = files.write_jsonl(path, (e.chat() for e in parts[name]))
        else:
            path.unlink(missing_ok=True)
    written[_PROVENANCE] = files.write_jsonl(folder / _PROVENANCE, _provenance(parts))
    facts = _facts(
        "sft",
        _sft_tally(parts),
        folder,
        written,
        now,
        notes=_sft_notes(parts),
        families=families,
        left_out=dict(sorted(selection.left_out.items())),
        near_duplicates_removed=near_available(),
    )
    about = (
        "Chats: a request for a Metal kernel, and a kernel file that was verified against a "
        "float64 oracle on many workloads. Op families never cross a split. Speedups are in "
        "`provenance.jsonl`, never in a prompt."
    )
    named = {_HUGGING_FACE[name]: f"{name}.jsonl" for name in SPLITS if name in parts}
    return _finish(folder, facts, written, "Verified Metal kernels, as chats", about, named)


def _provenance(parts: Mapping[str, Sequence[sft.Example]]) -> Iterator[dict[str, Any]]:
    for name in SPLITS:
        for line, example in enumerate(parts.get(name, ()), 1):
            yield sft.provenance(example, name, line)


def _sft_tally(parts: Mapping[str, Sequence[sft.Example]]) -> card.RowTally:
    tally = card.RowTally()
    for name in SPLITS:
        for example in parts.get(name, ()):
            for proof in example.proofs:
                tally.add(proof.device, proof.judge_version)
            tally.count(
                split=name,
                op=example.op.name,
                family=example.op.family,
                dtype=example.dtypes,
                device=sorted({proof.device.id for proof in example.proofs}),
                teacher=example.lineage.teachers,
                training_use=example.lineage.use.value,
            )
    return tally


def _sft_notes(parts: Mapping[str, Sequence[sft.Example]]) -> list[str]:
    notes = []
    missing = [name for name in SPLITS if name not in parts]
    if missing:
        notes.append(
            f"No rows for {' and '.join(missing)}: splits go by op family, and there are too few. "
            "Verify kernels of more families."
        )
    if not near_available():
        notes.append(
            "Only exact duplicates (after normalising names, comments and space) were removed; "
            "pip install 'metal-foundry[datasets]' removes near ones too."
        )
    return notes


def _facts(
    kind: str,
    tally: card.RowTally,
    folder: Path,
    written: Mapping[str, int],
    now: datetime | None,
    notes: Sequence[str] = (),
    **more: Any,
) -> dict[str, Any]:
    described = {
        name: {"rows": rows, "sha256": files.sha256(folder / name)}
        for name, rows in written.items()
    }
    every_note = [*card.notes(tally), *notes]
    return card.metadata(kind, tally, described, every_note, now or datetime.now(UTC), **more)


def _finish(
    folder: Path,
    facts: Mapping[str, Any],
    written: Mapping[str, int],
    title: str,
    about: str,
    splits: Mapping[str, str],
) -> Exported:
    files.write_text(folder / "README.md", card.readme(title, about, facts, splits))
    files.write_text(folder / "metadata.json", card.render_json(facts))
    return Exported(folder, facts["rows"], dict(written), tuple(facts["notes"]), facts)


def _reasons(left_out: Counter[str]) -> str:
    return (
        ", ".join(f"{n} {reason}" for reason, n in sorted(left_out.items()) if n) or "none judged"
    )
