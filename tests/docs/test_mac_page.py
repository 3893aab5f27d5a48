"""Every assumption about macOS names a test that is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_assumption_has_a_test() -> None:
    page = (ROOT / "docs" / "mac.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| ") and ".py::" in line]
    assert len(rows) >= 20
    for file, name in re.findall(r"`([\w/]+\.py)::(\w+)`", page):
        assert f"def {name}(" in (ROOT / file).read_text(), f"{file} has no {name}"
