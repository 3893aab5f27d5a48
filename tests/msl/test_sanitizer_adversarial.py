"""Faults that hide well are found on their line; honest tricks are left alone."""

from __future__ import annotations

import re

import pytest
from adversarial_kernels import GUILTY, HEAD, Case, examine
from innocent_kernels import INNOCENT

_MARKER = re.compile(r"//! (\w+)")


def places(case: Case) -> set[tuple[str, str, int]]:
    parts = {"source": HEAD + case.source, "header": case.header}
    return {
        (match[1], part, number)
        for part, text in parts.items()
        for number, line in enumerate(text.split("\n"), 1)
        for match in _MARKER.finditer(line)
    }


@pytest.mark.parametrize("name", GUILTY)
def test_a_fault_is_named_with_its_line(name: str) -> None:
    case = GUILTY[name]
    report = examine(case)
    assert report.build_log is None
    assert report.findings, "no finding"
    first = report.findings[0]
    assert (str(first.kind), first.part, first.part_line) in places(case), first.message


@pytest.mark.parametrize("name", INNOCENT)
def test_an_honest_trick_gets_no_finding(name: str) -> None:
    report = examine(INNOCENT[name])
    assert report.build_log is None
    assert [finding.message for finding in report.findings] == []
