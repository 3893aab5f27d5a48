"""Cases against the judge: `bench_cases.py TABLE [--times N] [--only TEXT] [--workers N]`.

TABLE is a tab-separated file with a head, whose first columns are the file, which lies beside it,
the op, the dtypes in which it must not pass and the kind of its fault. Where the dtypes stand in
brackets, the kernel is a control, which must pass in every dtype of its op.

1. Each case is judged `--times` times in every dtype, each time on inputs of a fresh secret: as
   `foundry verify` judges it, and with its time where its kind is one of `--timed`.
2. What must not pass and did, and what must pass and did not, is printed with its status; then
   the counts by kind, and how long an evaluation took.

Exit code 1 when any case is not as it should be.
"""

from __future__ import annotations

import argparse
import csv
import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from foundry.harness.processes.pool import WorkerPool
from foundry.judge import Evaluation, Judge, JudgeOptions
from foundry.judge.options import QUICK_REACH_S
from ops import registry

_SEED_BITS = 48
_TIMED = "state between calls,worker's clock falsified"


@dataclass(frozen=True)
class Case:
    """One kernel in one dtype."""

    name: str
    text: str
    op: str
    dtype: str
    kind: str
    must_pass: bool

    def is_right(self, evaluation: Evaluation) -> bool:
        """Whether the verdict is the one that the table asks for."""
        return evaluation.status.passed == self.must_pass


def cases(table: Path) -> Iterator[Case]:
    """Every line of the table, once for each of its dtypes."""
    with table.open(newline="") as file:
        rows = csv.reader(file, delimiter="\t")
        next(rows)
        for name, op, named, kind, *_ in rows:
            must_pass = named.startswith("(")
            text = (table.parent / name).read_text()
            for dtype in registry.get(op).dtypes if must_pass else named.split(","):
                yield Case(name, text, op, dtype, kind, must_pass)


@dataclass(frozen=True)
class Judged:
    """A case, what became of it, and the seconds that took."""

    case: Case
    evaluation: Evaluation
    seconds: float

    @property
    def sentence(self) -> str:
        """A case that is not as it should be."""
        case, found = self.case, self.evaluation
        wrong = "refused" if case.must_pass else "PASSED"
        return f"{wrong} {case.kind}: {case.name} {case.dtype} seed {found.seed}: {found.why}"


def judged(pool: WorkerPool, chosen: list[Case], timed_kinds: set[str]) -> Iterator[Judged]:
    """Every case once, on inputs of one fresh secret, several at once."""
    seed = secrets.randbits(_SEED_BITS)
    proving, timing = (
        Judge(pool, JudgeOptions(timed=timed, reach_s=QUICK_REACH_S), seed)
        for timed in (False, True)
    )

    def judge(case: Case) -> Judged:
        start_s = time.monotonic()
        chosen_judge = timing if case.kind in timed_kinds else proving
        found = chosen_judge.evaluate(case.text, registry.get(case.op), case.dtype)
        return Judged(case, found, time.monotonic() - start_s)

    with ThreadPoolExecutor(pool.workers) as threads:
        yield from threads.map(judge, chosen)


def report(done: list[Judged]) -> bool:
    """Print the counts; whether all is as it should be."""
    wrong = [j for j in done if not j.case.is_right(j.evaluation)]
    judged_of, wrong_of = (Counter(j.case.kind for j in part) for part in (done, wrong))
    for kind, count in sorted(judged_of.items()):
        print(f"  {wrong_of[kind]:4} of {count:4} wrong: {kind}")
    print(f"{len(wrong)} of {len(done)} evaluations wrong")
    print(f"{sum(j.seconds for j in done) / max(1, len(done)):.2f} s an evaluation")
    return not wrong


def main() -> int:
    """Judge and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--only", default="", help="only cases whose kind/file/dtype holds this")
    parser.add_argument("--timed", default=_TIMED, help="kinds that are timed, by comma")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    chosen = [c for c in cases(asked.table) if asked.only in f"{c.kind}/{c.name}/{c.dtype}"]
    done: list[Judged] = []
    with WorkerPool("cpu", asked.workers) as pool:
        for number in range(1, asked.times + 1):
            for found in judged(pool, chosen, set(asked.timed.split(","))):
                done.append(found)
                if not found.case.is_right(found.evaluation):
                    print(found.sentence, flush=True)
            wrong = sum(not j.case.is_right(j.evaluation) for j in done)
            print(f"round {number} of {asked.times}: {wrong} of {len(done)} wrong", flush=True)
    return 0 if report(done) else 1


if __name__ == "__main__":
    sys.exit(main())
