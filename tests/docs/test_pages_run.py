"""The pages of docs/ that promise it run word for word, in order, as a new user would.

* A fenced block whose first line names a file, such as ```python my_ops.py, is written there.
* A `sh` block is run by bash in an empty folder; what it exports stays for the next one.
* A `text` block is what the `sh` blocks before it print on standard output; `...` stands for
  anything, and runs of spaces are equal.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("add-an-op.md", "write-a-template.md", "counters.md", "extend.md", "metal-files.md")
LONG = {"add-an-op.md", "write-a-template.md", "counters.md", "extend.md"}
"""Run by `make test-slow`."""
FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
KEEP = "\nexport -p > .exported\n"


@dataclass(frozen=True)
class Block:
    kind: str
    file: str
    text: str
    line: int


def blocks(page: str) -> Iterator[Block]:
    text = (DOCS / page).read_text()
    for match in FENCE.finditer(text):
        kind, _, file = match["info"].strip().partition(" ")
        yield Block(kind, file, match["text"], text.count("\n", 0, match.start()) + 1)


def run(script: str, folder: Path) -> str:
    exported = folder / ".exported"
    before = f". ./{exported.name}\n" if exported.exists() else ""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{before}{script}{KEEP}"],
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def as_pattern(expected: str) -> re.Pattern[str]:
    anything = [r"\s+".join(map(re.escape, part.split())) for part in expected.split("...")]
    # Spaces beside `...` are part of what it stands for.
    return re.compile(r"\s*" + r".*?".join(anything) + r"\s*", re.DOTALL)


def test_patterns_can_fail() -> None:
    pattern = as_pattern("a  b ... d\n18 new ...")
    assert pattern.fullmatch("a b c d\n18 new evaluations, 3 s")
    assert pattern.fullmatch("a b d\n18 new\n")
    assert not pattern.fullmatch("a b c d\n8 new evaluations")
    assert not pattern.fullmatch("b c d\n18 new")
    assert not as_pattern("exit code 2").fullmatch("exit code 22")


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "page",
    [pytest.param(p, marks=[pytest.mark.slow] if p in LONG else []) for p in PAGES],
)
def test_the_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FOUNDRY_DB")
    printed = ""
    ran = 0
    for block in blocks(page):
        if block.file:
            target = tmp_path / block.file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text)
        elif block.kind == "sh":
            printed += run(block.text, tmp_path)
            ran += 1
        elif block.kind == "text":
            wanted = as_pattern(block.text)
            assert wanted.fullmatch(printed.strip()), f"{page}:{block.line} printed\n{printed}"
            printed = ""
    assert ran >= 3
    assert not printed, "output that the page does not show"


@pytest.mark.parametrize("page", PAGES)
def test_files_are_named_in_the_prose_too(page: str) -> None:
    text = (DOCS / page).read_text()
    for block in blocks(page):
        if block.file:
            assert f"`{block.file}`:\n\n```{block.kind} {block.file}\n" in text


@pytest.mark.parametrize("page", sorted(p.name for p in DOCS.glob("*.md")))
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", (DOCS / page).read_text()):
        assert (DOCS / target).exists(), f"{page} links to {target}"
