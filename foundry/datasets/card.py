"""What a dataset says about itself: `metadata.json` for programs, `README.md` for people.

The head of the README is the YAML that Hugging Face `datasets` reads a local folder by.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from foundry.datasets.teachers import Use
from foundry.judge.verdict import JUDGE_VERSION
from foundry.program import Device


@dataclass
class RowTally:
    """Counts over the rows of a dataset."""

    rows: int = 0
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    devices: dict[str, Device] = field(default_factory=dict)
    judge_versions: set[int] = field(default_factory=set)

    def add(self, device: Device, judge_version: int) -> None:
        """Note a device and a judge that a row rests on."""
        self.devices[device.id] = device
        self.judge_versions.add(judge_version)

    def count(self, **values: str | Iterable[str]) -> None:
        """Count one row under one or several values of each kind."""
        self.rows += 1
        for kind, value in values.items():
            given = [value] if isinstance(value, str) else value
            self.counts.setdefault(kind, Counter()).update(given)


def metadata(
    kind: str,
    tally: RowTally,
    files: Mapping[str, Mapping[str, Any]],
    notes: Sequence[str],
    now: datetime,
    **more: Any,
) -> dict[str, Any]:
    """The content of `metadata.json`."""
    from foundry import __version__

    return {
        "kind": kind,
        "created_at": now.isoformat(timespec="seconds"),
        "metal_foundry": __version__,
        "judge_version": JUDGE_VERSION,
        "judge_versions": sorted(tally.judge_versions),
        "rows": tally.rows,
        "files": {name: dict(facts) for name, facts in files.items()},
        "counts": {kind: dict(sorted(counts.items())) for kind, counts in tally.counts.items()},
        "devices": [
            {"id": key, "kind": d.kind, "name": d.name, "fingerprint": dict(d.fingerprint)}
            for key, d in sorted(tally.devices.items())
        ],
        "notes": list(notes),
        **more,
    }


def notes(tally: RowTally) -> list[str]:
    """What whoever uses the rows has to know."""
    found = []
    kinds = sorted({device.kind for device in tally.devices.values()})
    if len(tally.devices) > 1:
        found.append(
            f"Rows rest on {len(tally.devices)} devices ({', '.join(kinds)}); their times do not "
            "compare. Export one device at a time to keep them apart."
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


def readme(title: str, about: str, facts: Mapping[str, Any], splits: Mapping[str, str]) -> str:
    """The content of `README.md`.

    Args:
        title: The heading.
        about: What a row is.
        facts: What `metadata` gave.
        splits: File by split name, as Hugging Face names splits.
    """
    uses = facts["counts"].get("training_use", {})
    licence = "mit" if set(uses) <= {Use.FREE.value} else "other"
    lines = ["---", f"license: {licence}", "configs:", "- config_name: default", "  data_files:"]
    for split, file in splits.items():
        lines += [f"  - split: {split}", f"    path: {file}"]
    lines += ["---", "", f"# {title}", "", about, ""]
    lines += [
        f"{facts['rows']} rows, made by metal-foundry {facts['metal_foundry']} "
        f"(judge version {facts['judge_version']}) on {facts['created_at']}.",
        "",
    ]
    if facts["notes"]:
        lines += [*(f"- {note}" for note in facts["notes"]), ""]
    for kind, counts in facts["counts"].items():
        lines += [f"| {kind} | rows |", "|---|---|"]
        lines += [f"| {value} | {n} |" for value, n in counts.items()]
        lines.append("")
    lines += ["| device | kind | id |", "|---|---|---|"]
    lines += [f"| {d['name']} | {d['kind']} | {d['id']} |" for d in facts["devices"]]
    return "\n".join(lines) + "\n"


def render_json(facts: Mapping[str, Any]) -> str:
    """`metadata.json` as text."""
    return json.dumps(facts, indent=2, sort_keys=False) + "\n"
