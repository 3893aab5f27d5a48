"""Does `puct` beat `random`? `bench_strategies.py --cache FILE [--minutes M]`, on an idle machine.

Every op is searched by each strategy with `mutate`, seed by seed, at equal evaluations. What a
kernel is worth is a fact about the kernel, not about who found it: each is judged once, and every
search that meets it reads the same verdict. So strategies differ by what they choose and not by the
noise of two timings, and what one has paid for costs the others nothing but counts for them all the
same. (Few kernels are met twice: 4 of 200 evaluations of softmax.) The searches begin from nothing;
one worker each, so that they repeat exactly.

Verdicts are kept in the file. Killed, or out of its minutes, the same command goes on: searches are
repeated from their verdicts in moments. Printed at the end is a table of the areas under the best
reward so far, with an exact permutation test of the seeds.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from discover.budget.limits import Limits
from discover.proposers.registry import proposers_of
from discover.search.session import open_search
from discover.search.settings import SearchRequest, SearchSettings
from discover.search.watch import Silent
from discover.search.workbench import Workbench
from foundry.chips.judged import JudgeSeat, judge_seat
from foundry.harness.measuring.jobs import TimingPlan
from foundry.judge.options import JudgeOptions, Rivals
from foundry.judge.verdict import JUDGE_VERSION, Evaluation
from foundry.kernel import parse
from foundry.store import Store

OPS = (
    "softmax", "rms_norm", "layer_norm", "swiglu", "rope",
    "matmul", "qmm_4bit", "attention", "cumsum", "row_sum",
)  # fmt: skip
STRATEGIES = ("puct", "random")
BEHIND = Rivals(best=1e9)
"""Every kernel is timed once and proven alike: whether it wins in the end is not asked here."""
OPTIONS = JudgeOptions(
    per_workload=1, plan=TimingPlan(blocks=12, min_blocks=6, budget_s=0.3), sanitizer=None
)
"""Enough to tell kernels apart: no run is watched, which is half of the time. A search that ships
kernels judges longer."""
SIZES = 2
"""Visible and hidden cases of each op on which results are compared."""
_MAKING = threading.Lock()
WORSE = 0.05
"""p below which a strategy is called significantly worse."""


@dataclass
class Verdicts:
    """Verdicts by judge, op and kernel, in a file; each kernel is judged once, whoever asks."""

    file: Path
    judge: Any
    judged: int = 0
    read: int = 0
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _turns: dict[str, threading.Lock] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._base = sqlite3.connect(self.file, check_same_thread=False, isolation_level=None)
        self._base.execute("create table if not exists verdicts (key text primary key, text text)")

    def evaluate(
        self, text: str, op: Any, dtype: str, seed: int | None = None, *, rivals: Rivals
    ) -> Evaluation:
        """The verdict on a kernel, as a judge gives it."""
        key = f"{JUDGE_VERSION} {op.name} {dtype} {parse(text).hash}"
        with self._guard:
            turn = self._turns.setdefault(key, threading.Lock())
        with turn:
            if (known := self._known(key)) is not None:
                return known
            few = replace(op, visible=op.visible[-SIZES:], hidden=op.hidden[-SIZES:])
            found: Evaluation = self.judge.evaluate(text, few, dtype, seed, rivals=BEHIND)
            with self._guard:
                self._base.execute(
                    "insert into verdicts values (?, ?)", (key, found.model_dump_json())
                )
                self.judged += 1
        return found

    def _known(self, key: str) -> Evaluation | None:
        with self._guard:
            row = self._base.execute("select text from verdicts where key = ?", (key,)).fetchone()
            self.read += row is not None
        return Evaluation.model_validate_json(row[0]) if row else None

    def expect_looks(self, op: str, dtype: str, count: int) -> None:
        """Nobody asks here whether a kernel is faster."""


@dataclass(frozen=True)
class Trial:
    """One search."""

    op: str
    strategy: str
    seed: int


@dataclass(frozen=True)
class Bench:
    """Runs trials with verdicts that all of them share."""

    seat: JudgeSeat
    verdicts: Verdicts
    evaluations: int

    def store(self, folder: Path) -> Store:
        """A database of a search's own; alembic makes one at a time."""
        with _MAKING:
            return Store.open(f"sqlite:///{folder / 'search.db'}")

    def rewards(self, trial: Trial) -> list[float]:
        """What the kernels of a search earned, in order."""
        settings = SearchSettings(
            proposers=("mutate",), strategy=trial.strategy, seed=trial.seed, parallel=1, confirm=0
        )
        limits = Limits(evaluations=self.evaluations)
        request = SearchRequest(trial.op, "float32", limits, "bench", settings, from_scratch=True)
        judge: Any = self.verdicts
        # What another search had judged must count for this one: nothing is settled beforehand.
        seat = replace(self.seat, judge=judge, settled=lambda evaluation, op: False)
        with (
            tempfile.TemporaryDirectory() as folder,
            self.store(Path(folder)) as store,
            proposers_of(settings.proposers, settings) as proposers,
            open_search(
                Workbench(store, seat, {}, settings.bench),
                request,
                proposers,
                Silent(),
            ) as search,
        ):
            search.go_on(limits)
            return [reward or 0.0 for reward in search.rewards()[: self.evaluations]]


def area(rewards: Sequence[float], evaluations: int) -> float:
    """Mean of the best reward so far, over the evaluations."""
    best = list(itertools.accumulate(rewards, max)) or [0.0]
    return sum(best + best[-1:] * (evaluations - len(best))) / evaluations


def p_value(one: Sequence[float], other: Sequence[float]) -> float:
    """How often chance alone parts the means as far: an exact permutation test, two-sided."""
    everything, count = [*one, *other], len(one)
    wanted = abs(statistics.mean(one) - statistics.mean(other))
    seen = hits = 0
    for chosen in itertools.combinations(range(len(everything)), count):
        mine = [everything[i] for i in chosen]
        rest = [everything[i] for i in range(len(everything)) if i not in chosen]
        hits += abs(statistics.mean(mine) - statistics.mean(rest)) >= wanted - 1e-12
        seen += 1
    return hits / seen


@contextmanager
def opened(cache: Path, evaluations: int) -> Iterator[Bench]:
    """A bench on this machine's processor."""
    with judge_seat("cpu", 2, OPTIONS) as seat:
        yield Bench(seat, Verdicts(cache, seat.judge), evaluations)


def run(bench: Bench, trials: Sequence[Trial], minutes: float) -> dict[Trial, list[float]]:
    """Run trials, two at a time, until they are done or the minutes are over."""
    begin, found = time.monotonic(), {}
    stop = begin + 60 * minutes

    def one(trial: Trial) -> list[float] | None:
        return None if time.monotonic() > stop else bench.rewards(trial)

    with ThreadPoolExecutor(2) as pool:
        running = {pool.submit(one, trial): trial for trial in trials}
        for future in as_completed(running):
            if (rewards := future.result()) is not None:
                found[running[future]] = rewards
                report(bench, len(found), len(trials), time.monotonic() - begin)
    return found


def report(bench: Bench, done: int, wanted: int, seconds: float) -> None:
    """A line of progress."""
    verdicts = bench.verdicts
    left_s = seconds / done * (wanted - done)
    print(
        f"{done}/{wanted} searches, {verdicts.judged:,} kernels judged "
        f"({verdicts.judged / seconds:.2f}/s), {verdicts.read:,} read, {seconds / 60:.1f} min, "
        f"about {left_s / 60:.0f} min left",
        file=sys.stderr, flush=True,
    )  # fmt: skip


def table(
    found: dict[Trial, list[float]], ops: Sequence[str], seeds: int, evaluations: int
) -> Iterator[str]:
    """Markdown, a row for each op whose searches are all done."""
    first, second = STRATEGIES
    yield f"| op | {first} | {second} | {first} / {second} | p |"
    yield "|---|---|---|---|---|"
    wins, worse, rows = 0, 0, 0
    for op in ops:
        areas = {
            name: [
                area(found[trial], evaluations)
                for seed in range(seeds)
                if (trial := Trial(op, name, seed)) in found
            ]
            for name in STRATEGIES
        }
        if any(len(values) < seeds for values in areas.values()):
            continue
        one, other = statistics.mean(areas[first]), statistics.mean(areas[second])
        p = p_value(areas[first], areas[second])
        rows, wins, worse = rows + 1, wins + (one > other), worse + (one < other and p < WORSE)
        yield f"| {op} | {one:.3f} | {other:.3f} | {one / other:.3f} | {p:.3f} |"
        print(json.dumps({"op": op, "areas": areas}), file=sys.stderr)
    yield f"\n{first} wins on {wins} of {rows} ops, and is significantly worse on {worse}."


def main() -> None:
    """Run what is wanted, and print the table of what is done."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cache", type=Path, required=True, help="file of verdicts")
    parser.add_argument("--ops", nargs="+", default=OPS)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--evaluations", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=1e9, help="begin nothing after that")
    given = parser.parse_args()
    trials = [
        Trial(op, strategy, seed)
        for op in given.ops
        for seed in range(given.seeds)
        for strategy in STRATEGIES
    ]
    with opened(given.cache, given.evaluations) as bench:
        found = run(bench, trials, given.minutes)
    print("\n".join(table(found, given.ops, given.seeds, given.evaluations)))


if __name__ == "__main__":
    main()
