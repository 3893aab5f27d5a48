"""The house keeps its shape: function and file sizes, as measured facts."""

from __future__ import annotations

import ast
import statistics
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("ops", "templates", "foundry", "discover")


def _sources() -> list[Path]:
    found = [p for name in PACKAGES for p in (ROOT / name).rglob("*.py")]
    assert found, "no sources found; the test looks in the wrong place"
    return [p for p in found if "migrations" not in p.parts]


def _functions() -> list[tuple[int, str]]:
    sizes = []
    for path in _sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                sizes.append((lines, f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"))
    return sizes


def test_functions_are_short() -> None:
    sizes = sorted(_functions())
    assert statistics.median(lines for lines, _ in sizes) <= 8
    assert [where for lines, where in sizes if lines > 70] == []


def test_files_are_one_thing() -> None:
    long = [p for p in _sources() if p.read_text().count("\n") > 450]
    assert [str(p.relative_to(ROOT)) for p in long] == []
