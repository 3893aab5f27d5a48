"""Does a tenth of the timings find as good a kernel? The chip model's shortlist against all.

    .venv/bin/python tests/bench/bench_shortlist.py [--ops softmax,...] [--variants 40] [--db FILE]
        [--write docs/chip-model.md]

Published groups of ten are of matrix products alone: `foundry chips accuracy` tells of those. Here
are nine more ops, by this CPU's order, which is another machine's than the one that is predicted:
variants are judged and timed, and the best that a tenth of them holds is set against the best of
all. Judged variants are in the database: what was cut short goes on where it stopped.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from foundry.chips import fitted, registry
from foundry.chips.fitting.tenth import FEWEST, HEAD, Tenth
from foundry.chips.forecaster import ChipForecaster
from foundry.chips.profiled import Profiler
from foundry.harness.processes.pool import WorkerPool
from foundry.judge.options import bench_workloads
from foundry.kernel import parse
from foundry.report.figures import figures
from foundry.run.session import RunRequest, execute
from foundry.store import Store
from ops import registry as ops

OPS = "softmax,rms_norm,layer_norm,cumsum,silu,attention,rope,row_sum,gelu_tanh"
BEGIN, END = "<!-- tenth: begin -->\n", "<!-- tenth: end -->"


def here(asked: argparse.Namespace, op: str) -> Tenth:
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
    return Tenth(f"{op}, predicted for {asked.chip}", times)


def lines(asked: argparse.Namespace) -> Iterator[str]:
    """The table, a row as soon as it is known."""
    yield HEAD.format("this CPU's order")
    for op in filter(None, asked.ops.split(",")):
        tenth = here(asked, op)
        if len(tenth.times) >= FEWEST:
            yield tenth.line()
        else:
            yield f"| {tenth.name} | {len(tenth.times)} | - | - | - | too few |"


def write(path: Path, found: str) -> None:
    """Put the table into a document, between its marks."""
    text = path.read_text()
    start, stop = text.index(BEGIN) + len(BEGIN), text.index(END)
    new = path.with_suffix(".new")
    new.write_text(f"{text[:start]}{found}\n{text[stop:]}")
    os.replace(new, path)


def main() -> None:
    """Print the table, and keep it where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ops", default=OPS)
    parser.add_argument("--variants", type=int, default=40)
    parser.add_argument("--chip", default="m4-max")
    parser.add_argument("--db", default="runs/shortlist.db")
    parser.add_argument("--write", type=Path, help="Document that holds the table.")
    asked = parser.parse_args()
    said = []
    for line in lines(asked):
        print(line, flush=True)
        said.append(line)
    if asked.write:
        write(asked.write, "\n".join(said))


if __name__ == "__main__":
    main()
