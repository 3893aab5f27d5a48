"""Every planted bug is the sanitizer's first finding, of the right kind, on the right line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from planted_kernels import FILES, first_finding, planted

from foundry.msl.sanitizer import FindingKind, sanitize
from foundry.program import Launch, Program, TensorSpec


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_planted_bug_is_named_with_its_line(path: Path) -> None:
    case = planted(path)
    found = first_finding(case.kernel)
    assert found is not None, "no finding"
    finding, line = found
    assert (str(finding.kind), line) in case.places, finding.message


def test_the_corpus_covers_all_kinds_and_most_ops() -> None:
    cases = [planted(path) for path in FILES]
    assert len(cases) >= 60
    assert len({case.kernel.op for case in cases}) >= 8
    # A kernel file with too many threads is refused before the sanitizer sees it.
    missing = {str(kind) for kind in FindingKind} - {case.kind for case in cases}
    assert missing == {"too_many_threads"}


def test_too_many_threads() -> None:
    source = "out[thread_position_in_grid.x] = x[thread_position_in_grid.x];"
    x = TensorSpec("x", (2048,), "float32")
    out = TensorSpec("out", (2048,), "float32")
    launch = Launch("k", ("x",), (out,), source, (2048, 1, 1), (2048, 1, 1))
    report = sanitize(Program((x,), ("out",), (launch,)), {"x": np.ones(2048, np.float32)})
    assert [finding.kind for finding in report.findings] == [FindingKind.TOO_MANY_THREADS]
    assert "2048" in report.findings[0].message
