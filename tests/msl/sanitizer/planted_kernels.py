"""The planted-bug corpus: kernel files with one fault each, marked `//! kind` on its line.

A fault with two sides, as a race has, is marked on both; the finding may stand on either. A file
whose only marker stands on a line of another output has no line of its own to blame.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from foundry.judge.oracle.inputs import make_inputs
from foundry.kernel import Kernel, bind, line_in_file, parse
from foundry.msl.sanitizer import Finding, sanitize
from ops import registry

FILES = sorted((Path(__file__).parent / "planted").glob("*.metal"))
_MARKER = re.compile(r"//! (\w+)")
_TIME_LIMIT_S = 1.0
_MOST_WORKLOADS = 3


@dataclass(frozen=True)
class Planted:
    """A kernel with a fault, and where it is."""

    kernel: Kernel
    places: frozenset[tuple[str, int]]

    @property
    def kind(self) -> str:
        """Kind of the fault."""
        (kind,) = {kind for kind, _ in self.places}
        return kind


def planted(path: Path) -> Planted:
    """The kernel of a file of the corpus."""
    text = path.read_text()
    found = (
        (match[1], number)
        for number, line in enumerate(text.split("\n"), 1)
        for match in _MARKER.finditer(line)
    )
    return Planted(parse(text), frozenset(found))


def first_finding(kernel: Kernel) -> tuple[Finding, int | None] | None:
    """What the sanitizer says first, with its line in the file; larger workloads come first."""
    op = registry.get(kernel.op)
    workloads = [w for w in op.workloads("visible", "float32") if 1 not in w.axes.values()]
    for workload in reversed(workloads[-_MOST_WORKLOADS:]):
        program = bind(kernel, op, workload)
        inputs = make_inputs(op, workload, "normal", 1)
        report = sanitize(program, inputs, time_limit_s=_TIME_LIMIT_S)
        assert report.build_log is None, report.build_log
        if report.findings:
            first = report.findings[0]
            if first.part is None or first.part_line is None:
                return first, None
            return first, line_in_file(kernel, first.launch, first.part, first.part_line)
    return None
