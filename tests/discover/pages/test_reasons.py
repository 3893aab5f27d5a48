"""Why a kernel has its status, as commands and pages say it."""

from __future__ import annotations

from pathlib import Path

import pytest
from searching import Scripted, ScriptedJudge, Stage, scored
from toy import failed, kernel

from discover.budget.limits import Limits
from discover.history.reasons import kind, reason
from discover.history.summary import summarise
from discover.pages.story import gather
from foundry.judge.options import NOBODY, Rivals
from foundry.judge.verdict import Diagnostic, Evaluation, Status

UNDECLARED = "kernel:10:53: error: use of undeclared identifier 'foo'\n   10 | foo();"
READS = "out-of-bounds read: thread (1, 0, 0) reads x[1] [source:4: `x[c + 1];`]"


@pytest.mark.parametrize(
    ("status", "message", "line", "told", "counted"),
    [
        (
            Status.BUILD_ERROR, UNDECLARED, 10,
            "kernel:10:53: error: use of undeclared identifier 'foo'",
            "use of undeclared identifier 'foo'",
        ),
        (
            Status.SANITIZER_ERROR, READS, 10,
            "line 10: out-of-bounds read: thread (1, 0, 0) reads x[1] [`x[c + 1];`]",
            "out-of-bounds read",
        ),
        (
            Status.SANITIZER_ERROR,
            "out of bounds [launch 2, source:4: `x[c + 1];`] on a hidden workload.", 9,
            "line 9: out of bounds [`x[c + 1];`] on a hidden workload.",
            "out of bounds",
        ),
        (Status.BUILD_ERROR, "error: not compiled", None, "error: not compiled", "not compiled"),
    ],
    ids=["compiler", "sanitizer", "hidden", "no line"],
)  # fmt: skip
def test_a_line_is_the_files_and_told_once(
    status: Status, message: str, line: int | None, told: str, counted: str
) -> None:
    found = failed(status, Diagnostic(stage="build", message=message, line=line))
    assert reason(found) == told
    assert kind(found) == counted


def test_failures_are_counted_by_what_went_wrong_and_not_by_where(tmp_path: Path) -> None:
    class Compiler(ScriptedJudge):
        def __call__(self, text: str, seed: int, rivals: Rivals = NOBODY) -> Evaluation:
            found = super().__call__(text, seed, rivals)
            if "foo" not in text:
                return found
            line = len(self.texts)
            message = f"kernel:{line}:1: error: use of undeclared identifier 'foo'"
            said = Diagnostic(stage="build", message=message, line=line)
            made = failed(Status.BUILD_ERROR, said)
            return made.model_copy(update={"kernel_hash": found.kernel_hash})

    stage = Stage(tmp_path)
    llm = Scripted([kernel(f"int a = foo() + {n};") for n in range(1, 4)])
    stage.search([llm], Compiler(), Limits(evaluations=4), roots=[scored(1.0)])
    story = gather(stage.store, summarise(stage.store, stage.store.runs()[0]))
    assert story.failures == {"build_error": {"use of undeclared identifier 'foo'": 3}}
    stage.store.close()
