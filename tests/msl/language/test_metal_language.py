"""What Metal's compiler takes and what it refuses, as a table: `metal/accepted.txt`, `refused.txt`.

A line is a snippet: declarations, then after `|||` statements; statements alone without it. A line
that begins with `##` names the chapter of the specification that the next ones are about. Snippets
see the variables of `CONTEXT`. They are judged many at a time, each in a function on its own line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from foundry.msl.build import metal_check
from foundry.msl.build.cache import default_directory
from foundry.msl.build.toolchain import find_toolchain
from foundry.msl.frontend.language import DEFAULT, of
from foundry.msl.frontend.refusals.refusal import Refused
from foundry.msl.frontend.rewriting.threadgroup import BadDeclaration
from foundry.msl.frontend.signature import Signature
from foundry.msl.frontend.unit import translate

TABLE = Path(__file__).parent / "metal"
CONTEXT = (
    "device float* x, const device float* in, constant float* cp, threadgroup float* tg,"
    " device atomic_uint* au, char c, uchar uc, short s, ushort us, int n, uint u, long l,"
    " ulong ul,"
    " half h, bfloat bf, float f, bool b, float2 v2, float3 v3, float4 v, half4 h4, int4 q"
)


@dataclass(frozen=True)
class Snippet:
    chapter: str
    text: str

    def function(self, number: int) -> str:
        declared, bar, body = self.text.partition("|||")
        if not bar:
            declared, body = "", self.text
        inside = f"void f({CONTEXT}) {{ {body} }}"
        return f"namespace n{number} {{ {declared} {inside} }}"


def snippets(name: str) -> Iterator[Snippet]:
    chapter = ""
    for line in (TABLE / name).read_text().splitlines():
        if line.startswith("## "):
            chapter = line[3:]
        elif line:
            yield Snippet(chapter, line)


def said(header: str, version: str = DEFAULT) -> str:
    """What the pass says about a header; the words of a refusal before it."""
    toolchain = find_toolchain(default_directory())
    language = of(version)
    try:
        signature = Signature("k", header, "", (), "", "")
        unit = translate(signature, language, toolchain.preprocess, lambda _: "")
    except (Refused, BadDeclaration) as refusal:
        return str(refusal)
    if complaint := metal_check.complaint(toolchain, unit.metal_texts.text, language):
        return complaint + metal_check.resolve(toolchain, unit.metal_texts.text, language)
    return ""


def told_of(table: list[Snippet]) -> set[int]:
    """The lines of a table that the first pass that finds errors speaks of."""
    words = said("\n".join(s.function(n) for n, s in enumerate(table)) + "\n")
    return {int(line) for line in re.findall(r"header:(\d+):\d+: (?:error|note)", words)}


ACCEPTED, REFUSED = list(snippets("accepted.txt")), list(snippets("refused.txt"))


def chapters(table: list[Snippet]) -> list[str]:
    return list(dict.fromkeys(snippet.chapter for snippet in table))


@pytest.mark.parametrize("chapter", chapters(ACCEPTED))
def test_what_metal_takes_is_accepted(chapter: str) -> None:
    taken = [s for s in ACCEPTED if s.chapter == chapter]
    header = "\n".join(s.function(n) for n, s in enumerate(taken)) + "\n"
    words = said(header)
    lines = {int(line) for line in re.findall(r"^header:(\d+):.*error: ", words, re.MULTILINE)}
    assert not words, [taken[line - 1].text for line in sorted(lines)] or words


@pytest.mark.parametrize("chapter", chapters(REFUSED))
def test_what_metal_refuses_is_refused_on_its_line(chapter: str) -> None:
    left, passed = [], []
    for snippet in (s for s in REFUSED if s.chapter == chapter):
        header = snippet.function(0) + "\n"
        try:
            signature = Signature("k", header, "", (), "", "")
            translate(signature, of(DEFAULT), lambda text: text, lambda _: "")
            left.append(snippet)
        except (Refused, BadDeclaration) as refusal:
            passed += [snippet.text] if refusal.line != 1 else []
    while left and (told := told_of(left)):
        left = [snippet for n, snippet in enumerate(left, 1) if n not in told]
    passed += [s.text for s in left if not said(s.function(0) + "\n")]
    assert not passed


def test_the_table_is_as_large_as_it_says() -> None:
    assert len(REFUSED) >= 300
    assert len(ACCEPTED) >= 600
