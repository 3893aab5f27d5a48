"""`pytest -p foundry.msl.pytest_plugin`: a package's Metal tests on a machine without Metal.

Metal stands in from the start of pytest, before any test module is imported, to its end.
"""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from foundry.msl.stand_in import announce, metal

_STACK = pytest.StashKey[ExitStack]()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Let Metal stand in before anything is collected."""
    stack = ExitStack()
    stack.enter_context(metal())
    config.stash[_STACK] = stack


def pytest_report_header(config: pytest.Config) -> str:
    """Say where the kernels run."""
    return announce()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Give MLX back as it was."""
    config.stash[_STACK].close()
