from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from dataset_examples import CPU, METAL, Filled, template_kernel, variant, verdict

from foundry.datasets import export_attempts
from foundry.datasets.attempts import SCHEMA
from foundry.errors import EnvironmentUnusable, UsageError
from foundry.judge.verdict import JUDGE_VERSION, Diagnostic, Status
from foundry.kernel import render
from foundry.store import Origin

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def mixed(filled: Filled) -> Filled:
    """Every status once, then one kernel on a second device."""
    for number, status in enumerate(Status):
        kernel, origin = template_kernel("softmax", number)
        filled.add(kernel, origin, verdict(kernel, status))
    kernel, origin = template_kernel("silu")
    filled.add(kernel, origin, verdict(kernel, device=METAL))
    return filled


def test_every_evaluation_is_a_row_of_the_same_columns(mixed: Filled, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = export_attempts(mixed.store.evaluations(), mixed.store.origins(), out, now=NOW)
    rows = rows_of(out / "attempts.jsonl")
    assert done.rows == len(rows) == len(Status) + 1
    assert {row["status"] for row in rows} == {status.value for status in Status}
    assert all(list(row) == list(SCHEMA) for row in rows)
    first = rows[0]
    assert first["family"] == "softmax"
    assert first["device_id"] == CPU.id
    assert json.loads(first["device_fingerprint"]) == {"cores": 2}
    assert json.loads(first["origin_detail"])["knobs"]
    assert first["stage_ms"] == [{"stage": "parse", "ms": 0.5}, {"stage": "build", "ms": 40.0}]
    assert first["diagnostics"][0]["message"] == "out[0] is 1\nsecond"
    assert first["why"] == "out[0] is 1"
    assert first["errors"][0]["max_abs_error"] is None
    faster = rows[-1]
    assert faster["timings"][0]["samples_kernel_us"] == [8.0, 8.125, 7.9]
    assert faster["device_kind"] == "metal"
    assert faster["score"] == pytest.approx(1.5)


def test_parquet_gives_back_the_same_rows(mixed: Filled, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    out = tmp_path / "out"
    export_attempts(
        mixed.store.evaluations(), mixed.store.origins(), out, ("jsonl", "parquet"), now=NOW
    )
    table = parquet.read_table(out / "attempts.parquet")
    assert table.column_names == list(SCHEMA)
    read = table.to_pylist()
    assert math.isnan(read[0]["errors"][0]["max_abs_error"])
    read[0]["errors"][0]["max_abs_error"] = None
    for row in read:
        for error in row["errors"]:
            error["max_abs_error"] = None
    assert read == rows_of(out / "attempts.jsonl")


def test_parquet_batches_join(filled: Filled, tmp_path: Path, monkeypatch: Any) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr("foundry.datasets.files._BATCH", 3)
    for number in range(7):
        kernel, origin = template_kernel("softmax", number)
        filled.add(kernel, origin)
    export_attempts(filled.store.evaluations(), filled.store.origins(), tmp_path, ("parquet",))
    assert parquet.read_table(tmp_path / "attempts.parquet").num_rows == 7
    assert not (tmp_path / "attempts.jsonl").exists()


def test_the_card_counts_what_is_there(mixed: Filled, tmp_path: Path) -> None:
    kernel, _ = template_kernel("rope")
    filled_by = Origin("proposer", "anthropic", {"model": "claude-opus-5-5"})
    mixed.add(kernel, filled_by, verdict(kernel, judge_version=0))
    done = export_attempts(mixed.store.evaluations(), mixed.store.origins(), tmp_path, now=NOW)
    facts = json.loads((tmp_path / "metadata.json").read_text())
    assert facts == done.metadata
    assert facts["rows"] == len(Status) + 2
    counts = facts["counts"]["attempts"]
    assert counts["op"] == {"rope": 1, "silu": 1, "softmax": len(Status)}
    assert counts["device_id"] == {CPU.id: len(Status) + 1, METAL.id: 1}
    assert counts["training_use"] == {"free": len(Status) + 1, "restricted": 1}
    assert counts["teacher"]["anthropic:claude-opus-5-5"] == 1
    assert facts["judge_versions"] == [0, JUDGE_VERSION]
    assert {device["name"] for device in facts["devices"]} == {CPU.name, METAL.name}
    digest = hashlib.sha256((tmp_path / "attempts.jsonl").read_bytes()).hexdigest()
    assert facts["files"]["attempts.jsonl"] == {"rows": facts["rows"], "sha256": digest}
    card = (tmp_path / "README.md").read_text()
    assert card.startswith("---\nlicense: other\n")
    assert "path: attempts.jsonl" in card
    assert any("2 devices (cpu, metal)" in note for note in done.notes)
    assert any("forbids training competing models" in note for note in done.notes)


def test_nothing_to_export_leaves_the_last_export_alone(filled: Filled, tmp_path: Path) -> None:
    (tmp_path / "attempts.jsonl").write_text("the last one")
    with pytest.raises(UsageError, match="no evaluations to export"):
        export_attempts(filled.store.evaluations(), filled.store.origins(), tmp_path)
    assert (tmp_path / "attempts.jsonl").read_text() == "the last one"


@pytest.mark.parametrize("formats", [("xml",), ("jsonl", "parket"), ()])
def test_unknown_formats_are_usage_errors(filled: Filled, tmp_path: Path, formats: Any) -> None:
    with pytest.raises(UsageError, match="format"):
        export_attempts([], {}, tmp_path, formats)


def test_an_export_that_fails_leaves_the_last_one_whole(mixed: Filled, tmp_path: Path) -> None:
    export_attempts(mixed.store.evaluations(), mixed.store.origins(), tmp_path, now=NOW)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("[!x]*")}

    def broken() -> Any:
        yield from mixed.store.evaluations(limit=3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_attempts(broken(), mixed.store.origins(), tmp_path, now=NOW)
    assert {path.name: path.read_bytes() for path in tmp_path.glob("[!x]*")} == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_folder_that_cannot_be_made_is_one_line(mixed: Filled, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentUnusable) as caught:
        export_attempts(mixed.store.evaluations(), mixed.store.origins(), tmp_path / "file" / "out")
    assert "cannot be written" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_pyarrow_the_fix_is_named(
    mixed: Filled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(EnvironmentUnusable, match=r"metal-foundry\[datasets\]"):
        export_attempts(mixed.store.evaluations(), mixed.store.origins(), tmp_path, ("parquet",))


def test_jsonl_needs_no_pyarrow() -> None:
    program = (
        "import sys; import foundry.datasets; from foundry.datasets import export_attempts\n"
        "print([m for m in ('pyarrow', 'mlx') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_key_in_a_comment_and_a_message_of_nothing_but_a_path_stay_here(
    filled: Filled, tmp_path: Path
) -> None:
    kernel, origin = template_kernel("softmax")
    key = "sk-" + "a1B2" * 8
    noted = variant(render(kernel), "// --- body ---", f"// --- body ---\n// {key}")
    broken = Diagnostic(stage="verify", message="/Users/me/kernels/", line=3)
    filled.add(noted, origin, verdict(noted, Status.WRONG_RESULT, diagnostics=(broken,)))
    export_attempts(filled.store.evaluations(), filled.store.origins(), tmp_path, now=NOW)
    (row,) = rows_of(tmp_path / "attempts.jsonl")
    assert key not in row["kernel"]
    assert row["why"] == ""
