"""Does `puct` beat `random`? `bench_strategies.py --db FILE [--ops ...]`, on an idle machine.

Every op is searched by each strategy with `mutate`, seed by seed, at equal evaluations. It takes
hours; killed, the same command goes on, for each search is a run of the database. Printed are the
areas under the best score so far, by op, and on how many ops the first strategy wins.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from foundry.store import Store
from foundry.store.records import RunRecord

OPS = (
    "softmax", "rms_norm", "layer_norm", "swiglu", "rope",
    "matmul", "qmm_4bit", "attention", "cumsum", "row_sum",
)  # fmt: skip
STRATEGIES = ("puct", "random")


def search(db: Path, op: str, strategy: str, seed: int, evaluations: int) -> None:
    """Run one search, or go on with it; one that is done ends at once."""
    command = [
        sys.executable, "-c", "from discover.cli import main; main()", "search", op,
        "--strategy", strategy, "--seed", str(seed), "--max-evaluations", str(evaluations),
        "--device", "cpu", "--from-scratch", "--db", f"sqlite:///{db}", "--json",
    ]  # fmt: skip
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def area(store: Store, run: RunRecord, evaluations: int) -> float:
    """Mean of the best reward so far, over the evaluations."""
    rewards = [node.reward or 0.0 for node in store.nodes(run.id) if node.state == "judged"]
    best = list(itertools.accumulate(rewards[:evaluations], max)) or [0.0]
    return sum(best + best[-1:] * (evaluations - len(best))) / evaluations


def areas(
    db: Path, ops: Sequence[str], seeds: int, evaluations: int
) -> Iterator[tuple[str, dict[str, list[float]]]]:
    """By op and strategy, the area of every seed."""
    for op in ops:
        for strategy, seed in itertools.product(STRATEGIES, range(seeds)):
            search(db, op, strategy, seed, evaluations)
        with Store.open(f"sqlite:///{db}", read_only=True) as store:
            runs = [r for r in store.runs() if r.kind == "search" and r.settings["op"] == op]
            found: dict[str, list[float]] = {name: [] for name in STRATEGIES}
            for run in runs:
                name = run.settings.get("strategy", STRATEGIES[0])
                found[name].append(area(store, run, evaluations))
        yield op, found


def main() -> None:
    """Print a line for each op, and the count of wins."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--db", type=Path, required=True)
    parser.add_argument("--ops", nargs="+", default=OPS)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--evaluations", type=int, default=200)
    given = parser.parse_args()
    wins = 0
    for op, found in areas(given.db, given.ops, given.seeds, given.evaluations):
        one, other = (statistics.mean(found[name]) for name in STRATEGIES)
        wins += one > other
        print(json.dumps({"op": op, STRATEGIES[0]: one, STRATEGIES[1]: other, "areas": found}))
    print(f"{STRATEGIES[0]} wins on {wins} of {len(given.ops)} ops")


if __name__ == "__main__":
    main()
