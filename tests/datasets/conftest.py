from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from dataset_examples import Filled


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Filled]:
    found = Filled(tmp_path / "x.db")
    with found.store:
        yield found
