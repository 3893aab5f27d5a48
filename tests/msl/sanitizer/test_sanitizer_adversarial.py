"""Faults that hide well are found on their line; honest tricks are left alone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import pytest
from adversarial_kernels import GUILTY, HEAD, Case, examine
from further_kernels import FURTHER
from innocent_kernels import INNOCENT
from later_kernels import cases

_MARKER = re.compile(r"//! (\w+)")
LATER, LATER_HONEST = cases("later_faults.txt"), cases("later_honest.txt")
_SAMPLE = 30
"""Of so many of a later round `make test` runs one; `make test-slow` runs all."""


def places(case: Case) -> set[tuple[str, str, int]]:
    parts = {"source": HEAD + case.source, "header": case.header}
    return {
        (match[1], part, number)
        for part, text in parts.items()
        for number, line in enumerate(text.split("\n"), 1)
        for match in _MARKER.finditer(line)
    }


def dealt(names: Iterable[str]) -> list[Any]:
    return [
        pytest.param(name, marks=[pytest.mark.slow] * bool(n % _SAMPLE))
        for n, name in enumerate(names)
    ]


@pytest.mark.parametrize("name", [*GUILTY, *FURTHER, *dealt(LATER)])
def test_a_fault_is_named_with_its_line(name: str) -> None:
    case = (GUILTY | FURTHER | LATER)[name]
    report = examine(case)
    assert report.build_log is None
    assert report.findings, "no finding"
    first = report.findings[0]
    assert (str(first.kind), first.part, first.part_line) in places(case), first.message


@pytest.mark.parametrize("name", [*INNOCENT, *dealt(LATER_HONEST), "set by first turn"])
def test_an_honest_trick_gets_no_finding(name: str) -> None:
    report = examine((INNOCENT | LATER_HONEST)[name])
    assert report.build_log is None
    assert [finding.message for finding in report.findings] == []


@pytest.mark.parametrize(
    ("declaration", "access", "index", "size"),
    [
        ("threadgroup half s[64];", "*(threadgroup uint*)&s[62 + 2 * t]", 64, 64),
        ("threadgroup float4 s[4];", "((threadgroup float*)s)[16 + t]", 4, 4),
        ("threadgroup float s[2][8];", "(&s[0][0])[16 + t]", 16, 16),
        (
            "struct pair { float a, b; }; threadgroup pair s[3];",
            "((threadgroup float*)s)[6 + t]",
            3,
            3,
        ),
    ],
)
def test_an_index_counts_the_elements_of_the_declaration(
    declaration: str, access: str, index: int, size: int
) -> None:
    report = examine(Case(f"{declaration}\nif (t == 1) {access} = 0;\nout[i] = x[i];\n"))
    assert report.build_log is None
    first = report.findings[0]
    assert (first.kind, first.buffer, first.size) == ("out_of_bounds", "s", size)
    assert first.index in (index, index + 1)
