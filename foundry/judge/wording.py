"""The judge's sentences: fit for a terminal, a prompt and a dataset. Hidden workloads say less."""

from __future__ import annotations

import re

from foundry.harness.jobs import Crash, ReportedFinding, Timeout
from foundry.judge.oracle.draws.nonfinite import DRAWS
from foundry.judge.verdict import Diagnostic
from foundry.kernel import Kernel, build_log, line_in_file, render
from foundry.program import BuildFailure
from ops.workload import Workload

_HIDDEN = (
    "on a hidden workload (its sizes are not shown): check sizes 0 and 1, tails that no tile "
    "divides, and sizes larger than the visible ones"
)

_HELD = "a NaN or an infinity"
_FILE = "kernel"
"""Stands for the kernel file's name, which the judge does not know."""

_NUMBER = re.compile(r"(?<![A-Za-z_\d])(?:0[xX][0-9a-fA-F]+|\d+)")
_LOG_LINE = re.compile(rf"({_FILE}:\d+:\d+: | *\d+ \|)?(.*)")
_PLACE = re.compile(r"\[(?:launch (\d+), )?(header|source):(\d+): `[^\n]*\]$")


OVER_OTHERS = (
    "where other inputs left their results in the outputs, though it is right over fresh memory: "
    "write every element, and read none before it is written"
)
"""How a kernel was run that was right on the same inputs before; so are the two that follow."""
ELSEWHERE = "where its buffers lie elsewhere, though it is right on equal inputs"
REORDERED = "where its threadgroups begin in another order, though it is right in the natural one"


def wrong_result(
    output: str,
    fault: str,
    distribution: str,
    workload: Workload,
    *,
    hidden: bool,
    manner: str = "",
) -> Diagnostic:
    """An output that differs from the oracle; `manner` says how it was run, where that did it."""
    if manner and hidden:
        message = f"output '{output}' is wrong on a hidden workload {manner}."
    elif manner:
        message = (
            f"output '{output}' is wrong {manner}. There, {fault}. "
            f"Workload {workload.id}, {distribution}."
        )
    elif hidden and distribution in DRAWS:
        message = (
            f"output '{output}' is wrong on a hidden workload of which an input holds {_HELD}."
        )
    elif hidden:
        message = f"output '{output}' is wrong {_HIDDEN}."
    else:
        message = f"output '{output}' is wrong: {fault}. Workload {workload.id}, {distribution}."
    return Diagnostic(stage="verify", message=message, workload=workload.id, hidden=hidden)


def sanitized(
    finding: ReportedFinding, kernel: Kernel | None, workload: Workload, *, hidden: bool
) -> Diagnostic:
    """What the sanitizer found, on the line of the kernel file; of a hidden workload, no sizes."""
    line, place = finding.line, _PLACE.search(finding.message)
    if place is not None and kernel is not None:
        line = line_in_file(kernel, int(place[1] or 1) - 1, place[2], int(place[3]))
    message = finding.message
    if hidden:
        where = f" {place[0]}" if place else ""
        message = f"{finding.kind.replace('_', ' ') or 'a fault'}{where} {_HIDDEN}."
    return Diagnostic(
        stage="sanitize", message=message, line=line, workload=workload.id, hidden=hidden
    )


def build_failure(
    failure: BuildFailure, kernel: Kernel | None, workload: Workload, *, hidden: bool
) -> Diagnostic:
    """The compiler's words, on the lines of the kernel file; of a hidden workload, no sizes."""
    log = failure.log.strip() or "the compiler refused the kernel without a word"
    if kernel is not None:
        log = build_log.in_file(log, kernel, failure.launch, _FILE)
        log = _sizeless(log, render(kernel)) if hidden else log
    line = build_log.first_line(log, _FILE)
    return Diagnostic(stage="build", message=log, workload=workload.id, hidden=hidden, line=line)


def _sizeless(log: str, text: str) -> str:
    """A log in which numbers that the kernel's text does not hold are not shown.

    What is compiled for one workload may hold its sizes, and a compiler repeats them.
    """
    own = set(_NUMBER.findall(text))
    lines = (_LOG_LINE.fullmatch(line) for line in log.split("\n"))
    return "\n".join(
        (found[1] or "") + _NUMBER.sub(lambda n: n[0] if n[0] in own else "?", found[2])
        for found in lines
        if found
    )


def stopped(
    failure: Timeout | Crash, stage: str, workload: Workload | None, *, hidden: bool
) -> Diagnostic:
    """A worker that was killed, died or raised."""
    place = _HIDDEN if hidden else f"on {workload.id}" if workload else "while it was compiled"
    name = workload.id if workload else None
    message = f"{_ending(failure, stage)} {place}."
    return Diagnostic(stage=stage, message=message, workload=name, hidden=hidden)


def on(message: str, workload: Workload, *, hidden: bool) -> str:
    """A sentence about a workload, which is named unless it is hidden."""
    return f"{message} ({'a hidden workload' if hidden else workload.id})."


def _ending(failure: Timeout | Crash, stage: str) -> str:
    if isinstance(failure, Timeout):
        likely = "" if stage == "build" else " (an endless loop, or far too slow)"
        return f"the kernel was killed after {failure.limit_s:g} s{likely}"
    if failure.signal is None:
        return f"the kernel failed to run ({failure.reason})"
    likely = (
        "" if stage == "build" else ", likely an access outside a buffer or a write to an input"
    )
    return f"the kernel ended its process ({failure.reason}{likely})"
