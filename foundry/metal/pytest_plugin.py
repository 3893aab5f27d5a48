"""`pytest -p foundry.metal.pytest_plugin`: fixtures for a repository that ships `.metal` files.

`metal_library` opens a file relative to pytest's root folder, or takes the text itself; `sanitized`
runs a function on copies with every access checked, fails the test with all findings, and then runs
it in place.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from foundry.metal.library import Buffers, Library, LibraryFunction, path_of
from foundry.msl.sanitizer import Report

MetalLibrary = Callable[..., Library]
Sanitized = Callable[..., Report]
_OPENED = pytest.StashKey[dict[tuple[str, str], Library]]()


@pytest.fixture
def metal_library(request: pytest.FixtureRequest) -> MetalLibrary:
    """Open a `.metal` file: `metal_library("shaders/add.metal", function_constants=...)`.

    A text of several lines, or with braces, is taken for what it is; it includes files of pytest's
    root folder. A file with the same constants is read once a session. Arguments are those of
    `foundry.metal.Library`.
    """
    opened = request.config.stash.setdefault(_OPENED, {})
    root = Path(request.config.rootpath)

    def open_library(source: str | Path, **arguments: Any) -> Library:
        path = path_of(source)
        given = source if path is None else root / path
        if path is None:
            arguments = {"include_root": root, **arguments}
        key = str(given), repr(sorted(arguments.items()))
        if key not in opened:
            opened[key] = Library(given, **arguments)
        return opened[key]

    return open_library


@pytest.fixture
def sanitized() -> Sanitized:
    """Run a function sanitized, then in place: `sanitized(library["f"], buffers, grid=..., ...)`.

    Arguments are those of `LibraryFunction.sanitize`. It returns the report, with its counters.
    """

    def run(
        function: LibraryFunction, buffers: Buffers, *, outputs: Any = (), **sizes: Any
    ) -> Report:
        report = function.sanitize(buffers, outputs=outputs, **sizes)
        if report.findings:
            pytest.fail("\n".join(found.message for found in report.findings), pytrace=False)
        function(buffers, **sizes)
        return report

    return run


def pytest_report_header() -> str:
    """Say where the functions run."""
    return "metal: functions of .metal files run on the cpu engine of Metal Foundry"


__all__ = ["metal_library", "sanitized"]
