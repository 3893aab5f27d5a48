"""The metal engine keeps the promises of every engine, over a stand-in for MLX on a Mac."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CONTRACT = """
import pytest
from foundry.engines.base import Engine
from foundry.testing.engine_contract import EngineContract
from mac_engine import MacEngine


class TestMac(EngineContract):
    @pytest.fixture(scope="class")
    def engine(self) -> Engine:
        return MacEngine()
"""


def test_the_contract_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process of its own: what stands in for Metal stays in place."""
    (tmp_path / "test_contract_mac.py").write_text(CONTRACT)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
    done = subprocess.run(
        [*command, "-n", "0", str(tmp_path)],
        capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
