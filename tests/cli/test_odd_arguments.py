"""Numbers that are none, names that are empty, and files that hold nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from discover.cli.commands import application as discover
from foundry.cli.commands import application as foundry


@pytest.mark.parametrize("number", ["nan", "inf", "1e400"])
@pytest.mark.parametrize(
    "words",
    [
        ("search", "softmax", "--max-cost"),
        ("search", "softmax", "--repair"),
        ("search", "softmax", "--exploration"),
    ],
)
def test_what_is_no_number_limits_no_search(words: tuple[str, ...], number: str) -> None:
    done = CliRunner().invoke(discover, [*words, number])
    assert done.exit_code == 2, done.output
    assert "is no number" in done.stderr or "not in the range" in done.stderr


@pytest.mark.parametrize("option", ["--magnitude", "--tolerance"])
def test_precision_is_asked_of_numbers(option: str) -> None:
    done = CliRunner().invoke(foundry, ["precision", "softmax", option, "nan"])
    assert done.exit_code == 2, done.output
    assert "is no number" in done.stderr


def test_a_dataset_without_rows_is_not_verified(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    done = CliRunner().invoke(foundry, ["data", "verify", str(tmp_path / "empty.jsonl")])
    assert done.exit_code == 2
    assert "holds no rows" in done.stderr


def test_a_table_of_times_is_text(tmp_path: Path) -> None:
    (tmp_path / "times.csv").write_bytes(bytes(range(256)))
    done = CliRunner().invoke(foundry, ["chips", "accuracy", str(tmp_path / "times.csv")])
    assert done.exit_code == 2
    assert "is no table of text" in done.stderr


def test_a_database_has_a_name() -> None:
    done = CliRunner().invoke(foundry, ["list", "runs", "--db", ""])
    assert done.exit_code == 2
    assert "no name" in done.stderr
