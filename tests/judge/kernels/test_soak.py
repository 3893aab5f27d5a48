"""Many evaluations, a third of them hostile: nothing is left behind, nothing slows down."""

from __future__ import annotations

import os
import resource
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from foundry.harness.processes.pool import WorkerPool
from foundry.judge import Judge, JudgeOptions
from ops import registry

SOFTMAX = registry.get("softmax")
FAULTS = ("segv", "abort", "exit", "raise", "zeros", "hang", "forge", "wrongdtype", "refused")
COUNT = int(os.environ.get("FOUNDRY_SOAK", "2000"))


def kernel(word: str) -> str:
    return (
        f'/*kernel\nop = "softmax"\ngrid = [1]\nthreadgroup = [1]\n*/\n// --- body ---\n//{word}\n'
    )


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def processes() -> int:
    parents = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents.append((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    return parents.count(str(os.getpid()))


def judged(judge: Judge, words: list[str]) -> float:
    """Judge kernels on two threads; seconds it took."""
    start = time.monotonic()
    with ThreadPoolExecutor(2) as threads:
        passed = threads.map(
            lambda w: judge.evaluate(kernel(w), SOFTMAX, "float32").status.passed, words
        )
        assert list(passed) == [w == "right" for w in words]
    return time.monotonic() - start


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_faults_leave_nothing_and_cost_little(pool: WorkerPool) -> None:
    judge = Judge(pool, JudgeOptions(sanitizer=None, reach_s=0.0, timed=False, run_limit_s=0.5))
    words = [FAULTS[i // 3 % len(FAULTS)] if i % 10 in (1, 4, 7) else "right" for i in range(COUNT)]
    judged(judge, words[:40])
    before = descriptors(), processes()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    honest = ["right"] * (COUNT // 4)
    clean_s = judged(judge, honest) / len(honest)
    mixed_s = judged(judge, words)
    assert (descriptors(), processes()) == before
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 20 * 1024
    share = clean_s * words.count("right") / mixed_s
    print(f"{1 / clean_s:.1f} honest evaluations/s clean; {100 * share:.0f} % of it among faults")
