"""A worker sees what engines need, from wherever it runs, and no secret."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from foundry.harness.processes.environment import clean_environment


def test_secrets_stay_out() -> None:
    seen = clean_environment({"PATH": "/bin", "ANTHROPIC_API_KEY": "k", "FOUNDRY_DB": "u"})
    assert seen["PATH"] == "/bin"
    assert not {"ANTHROPIC_API_KEY", "FOUNDRY_DB"} & seen.keys()


def test_relative_paths_hold_in_the_folder_of_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    named = os.pathsep.join(["mine.py", "", "/else/theirs.py"])
    seen = clean_environment({"FOUNDRY_OPS": named, "PYTHONPATH": "lib"})
    assert seen["FOUNDRY_OPS"] == os.pathsep.join([str(tmp_path / "mine.py"), "/else/theirs.py"])
    assert seen["PYTHONPATH"] == str(tmp_path / "lib")
