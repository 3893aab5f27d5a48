"""Does a tenth of the timings find as good a kernel? The chip model's shortlist against all.

    .venv/bin/python tests/bench/bench_shortlist.py [--ops softmax,...] [--variants 40] [--db FILE]

First by published order: in every group of published times the model, fitted without that op,
picks a tenth of the kernels; how much slower than the best of the group is the best of those? Then
by this CPU's order, which is another machine's than the one that is predicted: variants of ten ops
are judged and timed, and the best that a tenth of them holds is set against the best of all. Judged
variants are in the database: what was cut short goes on where it stopped.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from foundry.chips import fitted, registry
from foundry.chips.fitting.accuracy import grouped
from foundry.chips.fitting.refit import data_of
from foundry.chips.fitting.rows import PUBLISHED
from foundry.chips.forecaster import ChipForecaster
from foundry.chips.profiled import Profiler
from foundry.harness.processes.pool import WorkerPool
from foundry.judge.options import bench_workloads
from foundry.kernel import parse
from foundry.report.figures import figures
from foundry.run.session import RunRequest, execute
from foundry.store import Store
from ops import registry as ops

OPS = "softmax,rms_norm,layer_norm,matmul,cumsum,silu,attention,rope,row_sum,gelu"
SHARE = 10
"""Of the kernels, one in so many is timed."""
NOISE = 1.15
"""Times that differ by less are equal: the same text differs by up to 1.57 between two sessions."""
FEWEST = 10
"""Groups of fewer kernels say nothing of a tenth."""


@dataclass(frozen=True)
class Choice:
    """Kernels of one op, with the time of each and the one that is predicted."""

    name: str
    times: Sequence[tuple[float, float]]
    """Predicted, measured."""

    @property
    def over_best(self) -> float:
        """The best of a tenth, by prediction, over the best of all."""
        count = math.ceil(len(self.times) / SHARE)
        chosen = sorted(self.times)[:count]
        return min(us for _, us in chosen) / min(us for _, us in self.times)

    def line(self) -> str:
        """A row of the table."""
        count = math.ceil(len(self.times) / SHARE)
        said = "as good" if self.over_best <= NOISE else "not found"
        return f"| {self.name} | {len(self.times)} | {count} | {self.over_best:.2f} | {said} |"


def published() -> Iterator[Choice]:
    """Groups of published times."""
    data = data_of(PUBLISHED)
    for group in grouped(data.rows):
        if len(group) >= FEWEST:
            one = group[0]
            times = [(data.left_out(row), row.us) for row in group]
            yield Choice(f"{one.op}, {one.chip}, {one.axes}", times)


def here(asked: argparse.Namespace, op: str) -> Choice:
    """Variants of one op, timed on this CPU."""
    request = RunRequest(
        (op,), ("float32",), (), {}, "coverage", "quick", asked.variants, None, 0, 2, "cpu",
        asked.db, f"bench_shortlist {op}",
    )  # fmt: skip
    device = execute(request).device
    times = []
    with Store.open(asked.db, read_only=True) as store, WorkerPool("cpu", workers=1) as pool:
        chip = registry.get(asked.chip)
        forecaster = ChipForecaster(Profiler(pool), chip, fitted.built_in())
        (workload,) = bench_workloads(ops.get(op), "float32", "quick")
        for stored in store.best(op, device.id, "float32", None):
            said = forecaster.document(parse(stored.text), ops.get(op), workload)
            found = figures(stored.evaluation)
            if found is not None and not isinstance(said, str):
                times.append((float(said["predicted_us"]), found.kernel_us))
    return Choice(op, times)


def main() -> None:
    """Print both tables, a row as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ops", default=OPS)
    parser.add_argument("--variants", type=int, default=40)
    parser.add_argument("--chip", default="m4-max")
    parser.add_argument("--db", default="runs/shortlist.db")
    asked = parser.parse_args()
    head = "| {} | kernels | timed | best of them over best of all | |\n|---|---|---|---|---|"
    print(head.format("published order"))
    for choice in published():
        print(choice.line())
    print("\n" + head.format("this CPU's order"))
    for op in filter(None, asked.ops.split(",")):
        choice = here(asked, op)
        print(
            choice.line() if choice.times else f"| {op} | 0 | - | - | none was timed |", flush=True
        )


if __name__ == "__main__":
    main()
