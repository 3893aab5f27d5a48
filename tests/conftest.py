"""Shared fixtures: a clean environment for every test, and golden files with one accept switch."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# A time limit per example would be a timed assertion.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# Commands wait for one another while one of them times; tests assert no time and need not wait.
# A folder for each process of pytest keeps their locks apart.
_OWN = f"foundry-{Path(__file__).parents[1].name}-{os.environ.get('PYTEST_XDIST_WORKER', 'tests')}"
os.environ["TMPDIR"] = tempfile.tempdir = str(Path(tempfile.gettempdir(), _OWN))
Path(tempfile.tempdir).mkdir(exist_ok=True)

# Tests start hundreds of processes, and each would compile every module of ours anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A background job of a shell ignores Ctrl-C, and so would every program that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No developer's key, profile or database reaches a test."""
    for name in list(os.environ):
        if name.startswith(("ANTHROPIC_", "OPENAI_")) or (
            name.startswith("FOUNDRY_") and name not in ("FOUNDRY_ACCEPT", "FOUNDRY_CACHE_DIR")
        ):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ANTHROPIC_CONFIG_DIR", str(tmp_path / "no-profile"))
    monkeypatch.setenv("FOUNDRY_DB", f"sqlite:///{tmp_path / 'foundry.db'}")


@pytest.fixture(autouse=True)
def own_ops_stay_in_their_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ops that a test loads from a file are gone after it."""
    from ops import registry

    monkeypatch.setattr(registry, "_loaded", dict(registry._loaded))


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """`golden(path, text)`: equal to tests/golden/path, or rewritten under FOUNDRY_ACCEPT=1."""

    def compare(path: str, text: str) -> None:
        file = GOLDEN / path
        if os.environ.get("FOUNDRY_ACCEPT") == "1":
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        assert file.is_file(), f"no golden file {file}; FOUNDRY_ACCEPT=1 writes it"
        assert text == file.read_text(), f"{path} changed; FOUNDRY_ACCEPT=1 accepts it"

    return compare
