"""A workload that is too small to time is named, and the others are timed all the same."""

from __future__ import annotations

import pytest

from foundry.harness.measuring.jobs import TimingPlan
from foundry.harness.processes.pool import WorkerPool
from foundry.judge import Judge, JudgeOptions, Status
from foundry.judge.options import is_settled
from foundry.judge.time import benchmark, plausible
from ops import registry

SOFTMAX = registry.get("softmax")
RIGHT = '/*kernel\nop = "softmax"\ngrid = [1]\nthreadgroup = [1]\n*/\n// --- body ---\n//right\n'
SMALL, LARGE = SOFTMAX.bench[0].label, SOFTMAX.bench[3].label
PLAN = TimingPlan(blocks=2, min_blocks=2, budget_s=0.02)


def options(*labels: str) -> JudgeOptions:
    return JudgeOptions(bench=labels, sanitizer=None, reach_s=0.0, plan=PLAN, per_workload=1)


@pytest.fixture(autouse=True)
def calm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plausible, "agrees", lambda *us: True)
    monkeypatch.setattr(plausible, "is_stable", lambda found: True)
    # Of what a machine under tests needs for the smaller of both, nobody knows the dispatch.
    monkeypatch.setattr(benchmark, "is_mostly_dispatch", lambda latency_us, _: latency_us < 500)


def test_too_small_alone_is_correct_without_a_time(pool: WorkerPool) -> None:
    found = Judge(pool, options(SMALL)).evaluate(RIGHT, SOFTMAX, "float32", 3)
    assert found.status is Status.CORRECT
    assert found.timings == ()
    assert "too small to time on this device" in found.why
    assert is_settled(found, SOFTMAX, (SMALL,))


@pytest.mark.slow
def test_too_small_beside_another_is_named_and_the_other_is_timed(pool: WorkerPool) -> None:
    found = Judge(pool, options(SMALL, LARGE)).evaluate(RIGHT, SOFTMAX, "float32", 3)
    assert found.status.passed
    (timing,) = found.timings
    assert timing.label == LARGE
    assert "too small" in found.diagnostics[0].message
    assert is_settled(found, SOFTMAX, (SMALL, LARGE))
