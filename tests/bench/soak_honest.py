"""False alarms: `soak_honest.py [--count N] [--progress FILE] [--workers N] [--only TEXT]`.

1. Point n of the soak is a point of a template's knob space in one dtype, drawn from the seed. A
   template has up to four points at a turn, for which oracles are computed once; all templates and
   dtypes come in a drawn order, then again at other points and on other inputs.
2. Each is judged as commands judge it, without timing, and appended to the progress file as one
   line; a soak that was interrupted, even by `kill -9`, goes on behind the last whole line.
3. Whatever is not `correct` is a false alarm, or a template at fault: printed with its reason.

Exit code 1 when more than `--allowed` of the points are refused.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundry.harness.processes.pool import WorkerPool
from foundry.judge import Evaluation, Judge, JudgeOptions
from ops import registry
from templates import registry as templates
from templates import space
from templates.render import render

SEED = 20261130
_AT_A_TURN = 4
_PER_JUDGE = 240
"""Points that are judged on the same inputs: oracles are computed once for all of them."""


@dataclass(frozen=True)
class Point:
    """One evaluation of the soak."""

    number: int
    template: str
    dtype: str
    knobs: space.Point

    @property
    def seed(self) -> int:
        """Seed of its inputs."""
        return SEED + self.number // _PER_JUDGE

    def judged(self, judge: Judge) -> dict[str, Any]:
        """The line that is kept of it."""
        template = templates.get(self.template)
        start = time.monotonic()
        text, op = render(template, self.knobs), registry.get(template.op)
        evaluation = judge.evaluate(text, op, self.dtype, self.seed)
        return self._line(evaluation) | {"s": round(time.monotonic() - start, 3)}

    def _line(self, evaluation: Evaluation) -> dict[str, Any]:
        return {
            "n": self.number,
            "template": self.template,
            "dtype": self.dtype,
            "knobs": dict(self.knobs),
            "seed": self.seed,
            "status": str(evaluation.status),
            "passed": evaluation.status.passed,
            "why": evaluation.why,
            "worst": max((e.bound_ratio for e in evaluation.errors), default=0.0),
        }


def points(count: int) -> Iterator[Point]:
    """The first points of the soak: the same for everybody."""
    rng = random.Random(SEED)
    drawn = itertools.chain.from_iterable(_turns(rng) for _ in itertools.count())
    for number, (name, dtype, knobs) in enumerate(itertools.islice(drawn, count)):
        yield Point(number, name, dtype, knobs)


def _turns(rng: random.Random) -> Iterator[tuple[str, str, space.Point]]:
    """Each template once in each dtype, at different points."""
    known = templates.all_templates()
    pairs = [(n, d) for n, t in sorted(known.items()) for d in registry.get(t.op).dtypes]
    for name, dtype in rng.sample(pairs, len(pairs)):
        points = [space.sample(known[name], rng) for _ in range(_AT_A_TURN)]
        for i, knobs in enumerate(points):
            if knobs not in points[:i]:
                yield name, dtype, knobs


def done(progress: Path) -> dict[int, dict[str, Any]]:
    """What a progress file holds; a line cut short is cut off."""
    found: dict[int, dict[str, Any]] = {}
    if not progress.exists():
        return found
    with progress.open("rb+") as file:
        whole = 0
        for line in file:
            if not line.endswith(b"\n"):
                break
            row = json.loads(line)
            found[row["n"]] = row
            whole += len(line)
        file.truncate(whole)
    return found


def soak(left: list[Point], progress: Path, workers: int) -> None:
    """Judge what is left, keeping each result as soon as it is there."""
    with (
        WorkerPool("auto", workers) as pool,
        ThreadPoolExecutor(workers) as threads,
        progress.open("ab", buffering=0) as file,
    ):
        for seed in sorted({point.seed for point in left}):
            judge = Judge(pool, JudgeOptions(timed=False))
            batch = [point for point in left if point.seed == seed]
            for row in threads.map(lambda point, judge=judge: point.judged(judge), batch):
                file.write(json.dumps(row).encode() + b"\n")
                if not row["passed"]:
                    print(sentence(row), flush=True)
            print(f"{batch[-1].number + 1} points", file=sys.stderr, flush=True)


def sentence(row: dict[str, Any]) -> str:
    """A point that was refused, in words."""
    return (
        f"{row['n']} {row['template']} {row['dtype']} {json.dumps(row['knobs'])} "
        f"seed {row['seed']}: {row['status']}: {row['why']}"
    )


def report(rows: dict[int, dict[str, Any]], allowed: int) -> bool:
    """Print what was found; whether few enough are refused."""
    refused = [row for row in rows.values() if not row["passed"]]
    print(f"{len(refused)} of {len(rows)} honest evaluations refused (at most {allowed} may be)")
    for row in refused:
        print(sentence(row))
    worst = Counter[str]()
    for row in rows.values():
        name = f"{row['template']} {row['dtype']}"
        worst[name] = max(worst[name], row["worst"])
    print("closest to their bounds (error / bound):")
    for name, ratio in worst.most_common(12):
        print(f"  {ratio:6.3f} {name}")
    print(f"{sum(row['s'] for row in rows.values()) / max(len(rows), 1):.2f} s an evaluation")
    return len(refused) <= allowed


def main() -> int:
    """Soak and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--progress", type=Path, default=Path("runs/soak-honest.jsonl"))
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--allowed", type=int, default=2)
    parser.add_argument("--only", default="", help="only points whose template/dtype holds this")
    asked = parser.parse_args()
    wanted = [p for p in points(asked.count) if asked.only in f"{p.template}/{p.dtype}"]
    asked.progress.parent.mkdir(parents=True, exist_ok=True)
    known = done(asked.progress)
    soak([point for point in wanted if point.number not in known], asked.progress, asked.workers)
    known = done(asked.progress)
    few = report({p.number: known[p.number] for p in wanted if p.number in known}, asked.allowed)
    return 0 if few else 1


if __name__ == "__main__":
    sys.exit(main())
