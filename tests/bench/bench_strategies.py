"""Does `puct` beat `random`? `bench_strategies.py --cache FILE [--minutes M]`.

Every op is searched by each strategy with `mutate`, seed by seed, at equal evaluations. What a
kernel is worth is a fact about the kernel, not about who found it or what else the machine does:
the time that the chip model predicts, of a kernel whose results are right (`cheap_verdicts`). So
strategies differ by what they choose and not by the noise of two timings, and the machine may be
busy. The searches begin from nothing; one worker each, so that they repeat exactly.

Verdicts and finished searches are kept in the file. Killed, or out of its minutes, the same command
goes on. Printed at the end is a table of the areas under the best gain so far (predicted time of
the best template over that of the kernel), with an exact permutation test of the seeds.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import itertools
import json
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from cheap_verdicts import CHIP, CheapJudge

import discover
from discover.budget.limits import Limits
from discover.proposers.registry import proposers_of
from discover.search.session import open_search
from discover.search.settings import SearchRequest, SearchSettings
from discover.search.watch import Silent
from discover.search.workbench import Workbench
from discover.selection import strategies
from foundry.chips.judged import JudgeSeat, judge_seat
from foundry.judge.options import NOBODY, JudgeOptions, Rivals
from foundry.judge.verdict import Evaluation
from foundry.kernel import parse
from foundry.report.predicted import predicted_gain
from foundry.store import Store

ROWS = {"rows": 16, "cols": 512}
SHAPES = {
    "softmax": ROWS,
    "rms_norm": ROWS,
    "layer_norm": ROWS,
    "swiglu": ROWS,
    "rope": {"batch": 1, "heads": 4, "seq": 16, "head_dim": 64},
    "matmul": {"m": 16, "n": 32, "k": 64},
    "qmm_4bit": {"m": 2, "n": 64, "k": 256, "group": 64},
    "attention": {
        "batch": 1, "heads": 2, "kv_heads": 1, "q_len": 8, "kv_len": 32, "head_dim": 64,
    },
    "cumsum": ROWS,
    "row_sum": ROWS,
}  # fmt: skip
"""By op, the size at which its kernels are run and predicted: enough work for a small chip, and so
little that a kernel runs whole in moments."""
STRATEGIES = ("puct", "random")
WORSE = 0.05
"""p below which a strategy is called significantly worse."""
_CHOOSING = (
    "selection/**/*.py",
    "search/*.py",
    "proposers/mutate.py",
    "proposers/crossover.py",
    "proposers/rewrites/*.py",
)
"""What decides which kernels a search tries, together with its own strategy's file; a search of
another version of it is run again."""


@dataclass
class Verdicts:
    """Verdicts and finished searches, in a file; each kernel is judged once, whoever asks."""

    file: Path
    judge: Any
    judged: int = 0
    read: int = 0
    gains: list[float] = field(default_factory=list)
    """Of what was asked for since somebody emptied it; 0 of a failure."""

    def __post_init__(self) -> None:
        self._base = sqlite3.connect(
            self.file, isolation_level=None, timeout=60, check_same_thread=False
        )
        self._base.execute("create table if not exists kept (key text primary key, text text)")

    def evaluate(
        self, text: str, op: Any, dtype: str, seed: int | None = None, *, rivals: Rivals = NOBODY
    ) -> Evaluation:
        """The verdict on a kernel, as a judge gives it."""
        key = f"{CHIP} {op.name} {dtype} {parse(text).hash}"
        if (known := self.known(key)) is not None:
            self.read += 1
            found = Evaluation.model_validate_json(known)
        else:
            found = self.judge.evaluate(text, op, dtype, seed, rivals=rivals)
            self.keep(key, found.model_dump_json())
            self.judged += 1
        self.gains.append((predicted_gain(found) or 0.0) if found.status.passed else 0.0)
        return found

    def known(self, key: str) -> str | None:
        """What is kept under a key."""
        row = self._base.execute("select text from kept where key = ?", (key,)).fetchone()
        return row[0] if row else None

    def keep(self, key: str, text: str) -> None:
        """Keep a text under a key."""
        self._base.execute("insert or replace into kept values (?, ?)", (key, text))

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

    def gains(self, trial: Trial, *, run: bool) -> list[float] | None:
        """What the kernels of a search gained, in order; None of one that is not done, nor run."""
        key = f"{version(trial.strategy)} {self.evaluations} {trial}"
        if (known := self.verdicts.known(key)) is not None:
            return list(json.loads(known))
        if not run:
            return None
        found = self._searched(trial)
        self.verdicts.keep(key, json.dumps(found))
        return found

    def _searched(self, trial: Trial) -> list[float]:
        settings = SearchSettings(
            proposers=("mutate",), strategy=trial.strategy, seed=trial.seed, parallel=1, confirm=0
        )
        limits = Limits(evaluations=self.evaluations)
        shapes = (SHAPES[trial.op],)
        request = SearchRequest(
            trial.op, "float32", limits, "bench", settings, from_scratch=True, shapes=shapes
        )
        # What another search had judged must count for this one: nothing is settled beforehand.
        judge: Any = self.verdicts
        seat = replace(self.seat, judge=judge, settled=lambda evaluation, op: False)
        self.verdicts.gains.clear()
        with (
            tempfile.TemporaryDirectory() as folder,
            Store.open(f"sqlite:///{folder}/search.db") as store,
            proposers_of(settings.proposers, settings) as proposers,
            open_search(
                Workbench(store, seat, {}, settings.bench), request, proposers, Silent()
            ) as search,
        ):
            search.go_on(limits)
        return self.verdicts.gains[: self.evaluations]


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
    """A bench for the chip."""
    with judge_seat(f"model:{CHIP}", 1, JudgeOptions()) as seat:
        verdicts = Verdicts(cache, CheapJudge(seat.device))
        yield Bench(seat, verdicts, evaluations)


@cache
def version(strategy: str) -> str:
    """Of the code that decides which kernels a search tries, without that of other strategies."""
    root = Path(discover.__file__).parent
    own = inspect.getfile(type(strategies.strategy(strategy)))
    others = set(Path(strategies.__file__).parent.glob("*.py")) - {Path(own)}
    files = sorted(file for pattern in _CHOOSING for file in root.glob(pattern))
    text = b"".join(file.read_bytes() for file in files if file not in others)
    return hashlib.sha256(text).hexdigest()[:12]


def run(bench: Bench, trials: Sequence[Trial], minutes: float) -> dict[Trial, list[float]]:
    """Run trials until they are done or the minutes are over; those that were done are read."""
    begin, found = time.monotonic(), {}
    for trial in trials:
        in_time = time.monotonic() - begin < 60 * minutes
        before = bench.verdicts.judged
        if (gains := bench.gains(trial, run=in_time)) is not None:
            found[trial] = gains
        if bench.verdicts.judged > before:
            report(bench, trial, len(found), len(trials), time.monotonic() - begin)
    return found


def report(bench: Bench, trial: Trial, done: int, wanted: int, seconds: float) -> None:
    """A line of progress."""
    verdicts = bench.verdicts
    print(
        f"{trial}: {done}/{wanted} searches, {verdicts.judged:,} kernels judged "
        f"({verdicts.judge.alike:,} the same as C++), {verdicts.read:,} read, "
        f"{seconds / 60:.1f} min, {sum(os.times()[:4]):.0f} s of processor time",
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
    parser.add_argument("--ops", nargs="+", default=list(SHAPES))
    parser.add_argument("--strategies", nargs="+", default=STRATEGIES, help="to run now")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--evaluations", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=1e9, help="begin nothing after that")
    given = parser.parse_args()
    trials = [
        Trial(op, strategy, seed)
        for op in given.ops
        for seed in range(given.seeds)
        for strategy in given.strategies
    ]
    with opened(given.cache, given.evaluations) as bench:
        found = run(bench, trials, given.minutes)
    print("\n".join(table(found, given.ops, given.seeds, given.evaluations)))


if __name__ == "__main__":
    main()
