"""A kernel is as slow as it is on inputs it never met, unless the machine became slower."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from foundry.judge.candidate import Failed
from foundry.judge.time import trial
from foundry.judge.time.meter import SETS
from foundry.judge.time.pairs import Latencies

TIMED = Latencies(baseline_us=(200.0,) * 9, kernel_us=(100.0,) * 9, fixed_us=0.0)


def meter(batch: Callable[..., float]) -> Any:
    return SimpleNamespace(
        worker=SimpleNamespace(ask=lambda job, limit_s: None), limit_s=1.0, batch=batch
    )


TRIAL: Any = SimpleNamespace(inputs=(), target=SimpleNamespace(workload=SimpleNamespace(id="w")))


def factor(
    monkeypatch: pytest.MonkeyPatch, unseen_us: float, baseline_us: float, again_us: float = 100.0
) -> float | Failed:
    """What is found where kernel and baseline take so long at last."""
    met = itertools.chain((unseen_us,) * 2, itertools.repeat(again_us))
    kernel = meter(lambda calls, keep: SETS * next(met) / 1e6)
    monkeypatch.setattr(trial, "_unseen", lambda asked: [(), ()])
    monkeypatch.setattr(trial, "_hold_unseen", lambda asked: None)
    monkeypatch.setattr(trial, "latency_us", lambda line, couples: (baseline_us, 0.0))
    line: Any = None
    return trial._unseen_factor(TRIAL, kernel, TIMED, line)


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


def test_one_that_is_no_faster_on_what_it_met_is_as_slow_as_that_and_not_rejected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert factor(monkeypatch, 1000.0, 200.0, again_us=900.0) == pytest.approx(10.0)


def tempted(fresh_us: float, kept_us: float) -> Failed | None:
    """What is found where calls take so long over memory that is fresh, and that was kept."""
    kernel = meter(lambda calls, keep: calls * (kept_us if keep else fresh_us) / 1e6)
    return trial._tempt(TRIAL, kernel, 10, TIMED)


def test_one_that_keeps_results_in_its_outputs_is_rejected() -> None:
    found = tempted(100.0, 10.0)
    assert found is not None
    assert "takes 100 us, but 10 us" in found.diagnostic.message


def test_a_machine_that_was_busy_while_a_kernel_was_timed_is_not_its_fault() -> None:
    assert tempted(30.0, 28.0) is None
    assert tempted(100.0, 90.0) is None
