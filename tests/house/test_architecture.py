"""`docs/architecture.md` and the code say the same: rooms and functions that it names exist."""

from __future__ import annotations

import ast
import importlib
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
PACKAGES = ("ops", "templates", "foundry", "discover")
FUNCTIONS = re.findall(r"^\s*\d*\s+([a-z_.]+):([A-Za-z_.]+)", PAGE, re.MULTILINE)
INNER = {"attacks", "families", "prelude", "shared", "templates", "migrations", "rewrites"}
"""Folders of data, or of files that are all of one kind: what lies in them is no room."""


def drawn() -> set[str]:
    """Paths of the rooms in the drawing, by their indentation."""
    block = re.search(r"```text\n(discover/.*?)```", PAGE, re.DOTALL)
    assert block is not None
    found: set[str] = set()
    parents: list[str] = []
    for line in block[1].splitlines():
        depth, name = (len(line) - len(line.lstrip())) // 2, line.split()[0]
        parents = [*parents[:depth], name.rstrip("/")]
        found.add("/".join(parents))
    return found


def rooms() -> set[str]:
    """Folders that hold code, down to the first of `INNER`."""
    files = {p for package in PACKAGES for p in (ROOT / package).rglob("*.py")}
    folders = {f.parent.relative_to(ROOT) for f in files}
    folders |= {p for f in folders for p in f.parents if p != Path()}
    return {str(f) for f in folders if not INNER & set(f.parts[:-1])}


def test_every_room_is_drawn() -> None:
    hidden = {"foundry/catalog/runtime", "foundry/store/migrations", "discover/proposers/rewrites"}
    hidden |= {"ops/families", "templates/shared"} - drawn()
    assert rooms() - hidden - drawn() == set()


def test_every_room_that_is_drawn_exists() -> None:
    missing = {r for r in drawn() if not (ROOT / r).is_dir() and not (ROOT / f"{r}.py").is_file()}
    assert missing == set()


@pytest.mark.parametrize(("module", "name"), FUNCTIONS, ids=[f"{m}:{n}" for m, n in FUNCTIONS])
def test_every_function_on_the_way_exists(module: str, name: str) -> None:
    found: object = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    assert callable(found)


def test_the_way_takes_at_most_twelve_calls() -> None:
    numbers = re.findall(r"^ ?(\d+)  [a-z]", PAGE, re.MULTILINE)
    assert numbers == [str(n) for n in range(1, 13)]


def test_no_two_files_of_tests_share_a_name() -> None:
    """pytest would import one in the place of the other."""
    names = Counter(file.name for file in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []


def test_no_two_classes_share_a_name() -> None:
    seen: dict[str, list[str]] = {}
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ClassDef):
                    seen.setdefault(node.name, []).append(f"{file.relative_to(ROOT)}")
    assert {name: files for name, files in seen.items() if len(files) > 1} == {}
