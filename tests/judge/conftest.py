from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from foundry.harness.processes.pool import WorkerPool

HERE = Path(__file__).parent.parent / "harness"


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[WorkerPool]:
    """Workers of an engine whose kernels say what happens: right, hang, segv, ..."""
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    with WorkerPool("directive_engine:DirectiveEngine", 2, tmp_path / "locks") as made:
        yield made
