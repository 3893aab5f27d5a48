"""How many kernels the templates make."""

from __future__ import annotations

from templates import space
from templates.registry import all_templates


def test_there_are_twenty_thousand_points() -> None:
    assert sum(1 for t in all_templates().values() for _ in space.points(t)) > 20_000
