"""`pytest -p foundry.msl.pytest_plugin`: a package's Metal tests on a machine without Metal.

Metal stands in from the start of pytest to its end: before the first `conftest.py` is imported,
since that is where packages ask whether Metal is available.
"""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from foundry.msl.stand_in.metal import announce, metal

_STACK = pytest.StashKey[ExitStack]()


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Let Metal stand in before anything of the package is imported."""
    _begin(early_config)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """The same for a plug-in that is named in a `conftest.py`."""
    _begin(config)


def _begin(config: pytest.Config) -> None:
    if _STACK not in config.stash:
        stack = ExitStack()
        stack.enter_context(metal())
        config.stash[_STACK] = stack


def pytest_report_header(config: pytest.Config) -> str:
    """Say where the kernels run."""
    return announce()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Give MLX back as it was."""
    config.stash[_STACK].close()
