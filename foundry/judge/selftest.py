"""The judge judged: a corpus of attacks and honest controls, kill rate and false-alarm rate.

1. `attacks.corpus` gives the built-in attacks, `attacks.load` those of a folder of your own.
2. `run` lets the judges evaluate each; an attack is killed when its verdict is not `correct` or
   `faster`, or when the range that was proven ends before it is wrong; a control passes when it is.
   Timing costs most, so attacks that aim at it say so.
3. `summary` counts, and `strays` finds what the kernels left running.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from foundry.harness.processes.pool import WorkerPool
from foundry.judge.attacks import Attack
from foundry.judge.judge import Judge
from foundry.judge.options import JudgeOptions
from foundry.judge.verdict import Evaluation
from ops import get

_REACH_S = 10.0
"""For large workloads, by a cautious forecast: attacks do not become slow to escape."""
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class AttackOutcome:
    """An attack and the judge's verdict."""

    attack: Attack
    evaluation: Evaluation

    @property
    def held(self) -> bool:
        """An attack was not accepted where it does harm; a control was accepted."""
        if self.attack.is_control:
            return self.evaluation.status.passed
        return not self.evaluation.status.passed or self.is_contained

    @property
    def is_contained(self) -> bool:
        """Whether an attack passed, and what was proven ends where its harm begins."""
        found = self.evaluation
        return found.status.passed and self.attack.is_right_within(found.proven)

    @property
    def expected(self) -> bool:
        """Whether the status is one that the file names."""
        return self.evaluation.status in self.attack.expect or self.is_contained


@dataclass(frozen=True)
class Judges:
    """The judges of a self-test: everything counts, and for few the time as well."""

    proving: Judge
    timing: Judge

    @classmethod
    def of(cls, pool: WorkerPool, run_limit_s: float = 4.0) -> Judges:
        """Judges on the workers of a pool, as commands have them."""
        options = JudgeOptions(run_limit_s=run_limit_s, reach_s=_REACH_S)
        return cls(*(Judge(pool, replace(options, timed=timed)) for timed in (False, True)))


def run(
    judges: Judges,
    attacks: Iterable[Attack],
    seed: int,
    workers: int,
    progress: Callable[[AttackOutcome], None] = lambda _: None,
) -> Iterator[AttackOutcome]:
    """Judge every attack, several at once; those of one op and dtype follow one another.

    They share the oracle's answers, of which not all fit into memory.
    """

    def judged(attack: Attack) -> AttackOutcome:
        judge = judges.timing if attack.timed else judges.proving
        evaluation = judge.evaluate(attack.text, get(attack.op), attack.dtype, seed)
        return AttackOutcome(attack, evaluation)

    threads = ThreadPoolExecutor(workers)
    try:
        for outcome in threads.map(judged, sorted(attacks, key=_shared)):
            progress(outcome)
            yield outcome
    finally:
        # Whoever interrupts does not wait for the rest: closing the pool ends what is under way.
        threads.shutdown(wait=False, cancel_futures=True)


def _shared(attack: Attack) -> tuple[str, str]:
    return attack.op, attack.dtype


def summary(outcomes: Iterable[AttackOutcome]) -> dict[str, Any]:
    """Counts, rates, and every outcome that is not as it should be."""
    done = list(outcomes)
    attacks = [o for o in done if not o.attack.is_control]
    controls = [o for o in done if o.attack.is_control]
    return {
        "attacks": len(attacks),
        "accepted": [_row(o) for o in attacks if not o.held],
        "contained": sum(o.is_contained for o in attacks),
        "controls": len(controls),
        "refused": [_row(o) for o in controls if not o.held],
        "unexpected": [_row(o) for o in done if o.held and not o.expected],
        "kill_rate": _rate(attacks, held=True),
        "false_alarm_rate": _rate(controls, held=False),
    }


def adopt_orphans() -> None:
    """Become the parent of every process that a killed worker leaves behind. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def strays(limit_s: float = 1.0) -> tuple[int, ...]:
    """Processes that still run this long after all workers were ended, by id. Linux only."""
    until = time.monotonic() + limit_s
    while (left := _children()) and time.monotonic() < until:
        time.sleep(0.02)
    return left


def _children() -> tuple[int, ...]:
    found: list[int] = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = status.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == os.getpid() and state != "Z":
            found.append(int(status.parent.name))
    return tuple(found)


def _rate(outcomes: list[AttackOutcome], *, held: bool) -> float | None:
    if not outcomes:
        return None
    return sum(o.held == held for o in outcomes) / len(outcomes)


def _row(outcome: AttackOutcome) -> dict[str, Any]:
    attack, evaluation = outcome.attack, outcome.evaluation
    return {
        "kind": attack.kind,
        "name": attack.name,
        "what": attack.why,
        "expected": [str(status) for status in attack.expect],
        "status": str(evaluation.status),
        "why": evaluation.why,
    }
