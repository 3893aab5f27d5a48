"""A kernel is as slow as it is on inputs it never met, unless the machine became slower."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from foundry.judge.candidate import Failed
from foundry.judge.time import trial
from foundry.judge.time.meter import SETS
from foundry.judge.time.pairs import Latencies

TIMED = Latencies(baseline_us=(200.0,) * 9, kernel_us=(100.0,) * 9, fixed_us=0.0)


def factor(monkeypatch: pytest.MonkeyPatch, unseen_us: float, baseline_us: float) -> float | Failed:
    """What is found where kernel and baseline take so long at last."""
    kernel: Any = SimpleNamespace(
        worker=SimpleNamespace(ask=lambda job, limit_s: None),
        limit_s=1.0,
        batch=lambda calls: SETS * unseen_us / 1e6,
    )
    monkeypatch.setattr(trial, "_unseen", lambda asked: [(), ()])
    monkeypatch.setattr(trial, "_hold_unseen", lambda asked: None)
    monkeypatch.setattr(trial, "latency_us", lambda line, couples: (baseline_us, 0.0))
    asked: Any = SimpleNamespace(target=SimpleNamespace(workload=SimpleNamespace(id="w")))
    line: Any = None
    return trial._unseen_factor(asked, kernel, TIMED, line)


def test_a_kernel_that_is_as_fast_there_keeps_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert factor(monkeypatch, 130.0, 200.0) == 1.0


def test_one_that_is_slower_there_is_as_slow_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    assert factor(monkeypatch, 200.0, 200.0) == pytest.approx(2.0)


def test_a_machine_that_became_slower_is_not_the_kernels_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert factor(monkeypatch, 180.0, 300.0) == 1.0


def test_one_that_remembers_is_rejected_on_a_slow_machine_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = factor(monkeypatch, 1000.0, 300.0)
    assert isinstance(found, Failed)
    assert "keeps what it computed" in found.diagnostic.message
