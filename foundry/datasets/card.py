"""What a dataset says about itself: `metadata.json` for programs, `README.md` for people.

The head of the README is the YAML that Hugging Face `datasets` reads a local folder by, and that a
hub lists and filters it by.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from foundry.datasets import attempts, files
from foundry.datasets.columns import WORDS
from foundry.datasets.labels import CANARY, PREDICTED
from foundry.datasets.split import TEST, TRAIN, VALID
from foundry.datasets.teachers import Use
from foundry.datasets.views.registry import VIEWS
from foundry.judge.verdict import JUDGE_VERSION

METADATA, README = "metadata.json", "README.md"
"""Beside the rows of every export, or a folder above them."""
_HUGGING_FACE = {TRAIN: "train", VALID: "validation", TEST: "test"}
_COUNTED = (
    "device_id",
    "op",
    "family",
    "status",
    "dtype",
    "training_use",
    "method",
    "task",
    "fault",
    "fixed_by",
)
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (10**6, "100K<n<1M"))
_DTYPES = {"text": "string", "number": "float64", "integer": "int64", "flag": "bool"}
_TAGS = ("metal", "mlx", "apple-silicon", "gpu-kernels", "code", "synthetic")


@dataclass
class RowTally:
    """Counts over rows as they pass."""

    rows: int = 0
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    devices: dict[str, dict[str, Any]] = field(default_factory=dict)
    judge_versions: set[int] = field(default_factory=set)

    def over(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """The same rows, counted."""
        for row in rows:
            self._add(row)
            yield row

    def _add(self, row: Mapping[str, Any]) -> None:
        self.rows += 1
        self.judge_versions.add(row["judge_version"])
        about = {name: row[f"device_{name}"] for name in ("id", "kind", "name")}
        self.devices[str(about["id"] or about["name"])] = about
        for name in _COUNTED:
            if row.get(name) is not None:
                self.counts.setdefault(name, Counter())[str(row[name])] += 1
        self.counts.setdefault("teacher", Counter()).update(row["teachers"])

    def take(self, other: RowTally) -> None:
        """Add the counts of other rows."""
        self.rows += other.rows
        self.judge_versions |= other.judge_versions
        self.devices.update(other.devices)
        for name, counts in other.counts.items():
            self.counts.setdefault(name, Counter()).update(counts)


@dataclass(frozen=True)
class WrittenFile:
    """One file of rows."""

    config: str
    """Its view, or `attempts`."""
    split: str
    rows: int


@dataclass
class WrittenFiles:
    """What was written into a folder."""

    folder: Path
    files: dict[str, WrittenFile] = field(default_factory=dict)
    tally: RowTally = field(default_factory=RowTally)
    by_config: dict[str, RowTally] = field(default_factory=dict)

    def add(self, rows: int, path: Path, config: str, split: str, tally: RowTally) -> None:
        """Note a file; a table in two formats counts once."""
        known = any(one.config == config and one.split == split for one in self.files.values())
        self.files[str(path.relative_to(self.folder))] = WrittenFile(config, split, rows)
        if not known:
            self.tally.take(tally)
            self.by_config.setdefault(config, RowTally()).take(tally)


@dataclass(frozen=True)
class CardFacts:
    """What an export knows besides its rows."""

    kind: str
    about: Mapping[str, str]
    """What a row is, by config."""
    notes: Sequence[str] = ()
    more: Mapping[str, Any] = field(default_factory=dict)


def metadata(facts: CardFacts, written: WrittenFiles, now: datetime) -> dict[str, Any]:
    """The content of `METADATA`."""
    from foundry import __version__

    tally = written.tally
    return {
        "kind": facts.kind,
        "created_at": now.isoformat(timespec="seconds"),
        "metal_foundry": __version__,
        "judge_version": JUDGE_VERSION,
        "judge_versions": sorted(tally.judge_versions),
        "canary": CANARY,
        "rows": tally.rows,
        "about": dict(facts.about),
        "files": {
            name: {"rows": one.rows, "sha256": files.sha256(written.folder / name)}
            for name, one in written.files.items()
        },
        "counts": {
            config: {name: dict(sorted(counts.items())) for name, counts in one.counts.items()}
            for config, one in written.by_config.items()
        },
        "devices": [device for _, device in sorted(tally.devices.items())],
        "notes": [*_notes(tally), *facts.notes],
        **facts.more,
    }


def _notes(tally: RowTally) -> list[str]:
    """What whoever uses the rows has to know."""
    found = []
    # A chip of predictions has no id: nothing ran on it.
    ran = [device for device in tally.devices.values() if device["id"]]
    chips = sorted(str(one["name"]) for one in tally.devices.values() if not one["id"])
    kinds = sorted({str(device["kind"]) for device in ran})
    if len(ran) > 1:
        found.append(
            f"Rows rest on {len(ran)} devices ({', '.join(kinds)}); their times do not "
            "compare. Export one device at a time to keep them apart."
        )
    if "cpu" in kinds:
        found.append(
            "Times of a device of kind cpu are times of a CPU: faster there says little of a GPU."
        )
    if tally.counts.get("method", Counter())[PREDICTED]:
        found.append(
            f"Rows whose `method` is `{PREDICTED}` rest on a model of {' and '.join(chips)}, "
            "not on a measurement."
        )
    used = tally.counts.get("training_use", Counter())
    if used[Use.RESTRICTED.value]:
        found.append(
            f"{used[Use.RESTRICTED.value]} rows descend from a model whose provider forbids "
            "training competing models on its outputs without permission."
        )
    if used[Use.UNKNOWN.value]:
        found.append(f"{used[Use.UNKNOWN.value]} rows have authors whose terms are not known here.")
    return found


def readme(facts: Mapping[str, Any], written: WrittenFiles) -> str:
    """The content of `README.md`, from what `metadata` gave."""
    title = "Metal kernels for MLX, judged"
    lines = ["---", *_yaml(title, written), "---", "", f"# {title}", ""]
    lines += [
        f"{facts['rows']} rows, made by metal-foundry {facts['metal_foundry']} "
        f"(judge version {facts['judge_version']}) on {facts['created_at']}. Every kernel that is "
        "called verified was held to a float64 oracle on visible, hidden and secretly drawn "
        "workloads, and watched by a sanitizer on all of them; `foundry data verify FILE` does it "
        "again.",
        "",
    ]
    if facts["notes"]:
        lines += [*(f"- {note}" for note in facts["notes"]), ""]
    lines += _loading(written)
    for config in written.by_config:
        lines += _section(config, facts)
    for heading, counts in facts.get("rows_left_out", {}).items():
        lines += _table(f"left out of {heading}", counts)
    lines += _table("kernels in no split", facts.get("kernels_left_out", {}))
    lines += ["| device | kind | id |", "|---|---|---|"]
    lines += [f"| {d['name']} | {d['kind']} | {d['id'] or '-'} |" for d in facts["devices"]]
    return "\n".join([*lines, "", f"Canary: `{CANARY}`"]) + "\n"


def _yaml(title: str, written: WrittenFiles) -> Iterator[str]:
    uses = written.tally.counts.get("training_use", Counter())
    is_own = set(uses) <= {Use.FREE.value}
    yield from ("license: mit",) if is_own else ("license: other", "license_name: see-rows")
    yield f"pretty_name: {title}"
    yield from ("language:", "- en", "task_categories:", "- text-generation", "tags:")
    yield from (f"- {tag}" for tag in _TAGS)
    size = next((name for most, name in _SIZES if written.tally.rows < most), "n>1M")
    yield from ("size_categories:", f"- {size}", "configs:")
    for number, config in enumerate(sorted(written.by_config, key=lambda c: c == "attempts")):
        yield f"- config_name: {config}"
        yield from ["  default: true"] if number == 0 else []
        yield "  data_files:"
        for split, name in _splits(written, config).items():
            yield from (f"  - split: {_HUGGING_FACE[split]}", f"    path: {name}")
    yield "dataset_info:"
    for config in written.by_config:
        yield from (f"- config_name: {config}", "  features:")
        yield from _features(_schema(config), "  ")


def _splits(written: WrittenFiles, config: str) -> dict[str, str]:
    """File by split; of a table in two formats the Parquet."""
    found: dict[str, str] = {}
    for name, one in sorted(written.files.items()):
        if one.config == config:
            found[one.split] = name
    return {split: found[split] for split in (TRAIN, VALID, TEST) if split in found}


def _schema(config: str) -> Mapping[str, Any]:
    return VIEWS[config].schema if config in VIEWS else attempts.SCHEMA


def _features(schema: Mapping[str, Any], indent: str) -> Iterator[str]:
    for name, kind in schema.items():
        yield f"{indent}- name: {name}"
        if isinstance(kind, list) and isinstance(kind[0], Mapping):
            yield f"{indent}  list:"
            yield from _features(kind[0], f"{indent}  ")
        elif isinstance(kind, list):
            yield f"{indent}  list: {_DTYPES[kind[0]]}"
        else:
            yield f"{indent}  dtype: {_DTYPES[kind]}"


def _loading(written: WrittenFiles) -> list[str]:
    config = next(iter(sorted(written.by_config, key=lambda c: c == "attempts")))
    return [
        "```python",
        "from datasets import load_dataset",
        f'rows = load_dataset("PATH", "{config}", split="train")',
        "```",
        "",
    ]


def _section(config: str, facts: Mapping[str, Any]) -> list[str]:
    lines = [f"## {config}", "", facts["about"][config], "", "| column | holds |", "|---|---|"]
    lines += [f"| {name} | {WORDS[name]} |" for name in _schema(config)]
    lines.append("")
    for name, counts in facts["counts"].get(config, {}).items():
        lines += _table(name, counts)
    return lines


def _table(heading: str, counts: Mapping[str, int]) -> list[str]:
    if not counts:
        return []
    rows = [f"| {value} | {n} |" for value, n in counts.items()]
    return [f"| {heading} | rows |", "|---|---|", *rows, ""]


def render_json(facts: Mapping[str, Any]) -> str:
    """`metadata.json` as text."""
    return json.dumps(facts, indent=2, sort_keys=False) + "\n"
