"""openai 2, which verifiers needs: it stands on httpx and not on httpx2."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from packaging.requirements import Requirement

from discover.proposers.faults import guard
from discover.protocol import Failure, FailureKind

ROOT = Path(__file__).parents[3]


class HTTPError(Exception): ...


class TimeoutException(HTTPError): ...


class ConnectTimeout(TimeoutException): ...


class ConnectError(HTTPError): ...


class PoolTimeout(TimeoutException): ...


class OpenAIError(Exception): ...


class APIError(OpenAIError): ...


class APIStatusError(APIError): ...


class APIConnectionError(APIError): ...


@pytest.mark.parametrize("wrapped", [True, False])
@pytest.mark.parametrize(
    ("reason", "kind", "maybe_billed"),
    [
        (ConnectTimeout(), FailureKind.CONNECTION, False),
        (ConnectError(), FailureKind.CONNECTION, False),
        (TimeoutException(), FailureKind.TIMEOUT, True),
        (HTTPError(), FailureKind.CONNECTION, True),
    ],
)
def test_what_never_left_costs_nothing_on_either_library(
    monkeypatch: pytest.MonkeyPatch,
    wrapped: bool,
    reason: Exception,
    kind: FailureKind,
    maybe_billed: bool,
) -> None:
    below = ModuleType("httpx")
    for one in (HTTPError, TimeoutException, ConnectTimeout, ConnectError, PoolTimeout):
        setattr(below, one.__name__, one)
    monkeypatch.setitem(sys.modules, "httpx", below)
    errors = (OpenAIError, APIError, APIStatusError, APIConnectionError)
    sdk = SimpleNamespace(**{one.__name__: one for one in errors})

    def call() -> None:
        if wrapped:
            raise APIConnectionError from reason
        raise reason

    found = guard(sdk, call)  # type: ignore[arg-type]
    assert isinstance(found, Failure)
    assert (found.kind, found.maybe_billed) == (kind, maybe_billed)


def test_what_is_required_admits_what_verifiers_requires() -> None:
    """verifiers 0.4 asks for openai>=2.54,<3: with more than that nothing can be installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = {one.name: one.specifier for one in map(Requirement, project["dependencies"])}
    assert "2.54.0" in asked["openai"]
    assert "3.57.0" in asked["openai"]
