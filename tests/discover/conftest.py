from __future__ import annotations

import sys
from pathlib import Path

import pytest

from foundry.harness.sandbox import Level, available

# `fake_llm` and `toy` are helpers, not tests, and tests have no packages.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def accept_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no sandbox, kernels of the tests' own LLMs run without."""
    if available() < Level.FILTERED:
        monkeypatch.setenv("FOUNDRY_SANDBOX", "off")
