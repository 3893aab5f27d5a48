"""Figures of the judge on this machine: `bench_judge.py [--trials N] [--kernels N]`.

1. Evaluations per second, parse to timed verdict, of kernels never built before, warm, with the
   wall time of each stage.
2. A/A: how many of the trials that time the baseline against itself have an interval with 1.00.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from foundry.engines.base import Arrays
from foundry.harness.measuring import Samples, Time, TimingPlan
from foundry.harness.pool import WorkerPool
from foundry.judge import Evaluation, Judge, JudgeOptions
from foundry.judge.inputs import make_inputs
from foundry.judge.references import op_file, output_specs
from foundry.judge.statistics import speedup
from ops import registry
from templates import registry as templates
from templates import space
from templates.render import render

ROW_WISE = ("silu_elements", "softmax_thread", "softmax_simdgroup", "rms_norm_simdgroup")
SEED = 20261121


def kernels() -> Iterator[tuple[str, str]]:
    """Op and text of kernels, from the row-wise templates in turn."""
    found = [templates.get(name) for name in ROW_WISE]
    rows = [[(t.op, render(t, point)) for point in space.points(t)] for t in found]
    for together in itertools.zip_longest(*rows):
        yield from (entry for entry in together if entry is not None)


def evaluations_per_second(pool: WorkerPool, count: int) -> None:
    """Judge `count` new kernels on all workers, and print rate and stages."""
    judge = Judge(pool, JudgeOptions())
    fresh = kernels()
    for op, text in itertools.islice(fresh, len(ROW_WISE)):
        judge.evaluate(text, registry.get(op), "float32", SEED)
    chosen = list(itertools.islice(fresh, count))
    start = time.perf_counter()
    with ThreadPoolExecutor(pool.workers) as threads:
        found = list(
            threads.map(lambda k: judge.evaluate(k[1], registry.get(k[0]), "float32", SEED), chosen)
        )
    spent = time.perf_counter() - start
    passed = sum(e.status.passed for e in found)
    print(
        f"{len(found) / spent:.1f} evaluations/s ({len(found)} in {spent:.1f} s, {passed} passed)"
    )
    _print_stages(found)


def _print_stages(found: list[Evaluation]) -> None:
    stages = dict.fromkeys(s for e in found for s in e.stage_ms)
    for stage in stages:
        times = sorted(e.stage_ms[stage] for e in found if stage in e.stage_ms)
        print(
            f"  {stage:10} median {statistics.median(times):7.1f} ms   "
            f"p90 {times[int(0.9 * (len(times) - 1))]:7.1f} ms"
        )


def a_a(pool: WorkerPool, trials: int) -> None:
    """Time baselines against themselves, and print how many intervals hold 1.00."""
    ops = [registry.get(name) for name in ("softmax", "rms_norm", "silu", "matmul")]
    held = 0
    ratios: list[float] = []
    widths: list[float] = []
    for trial in range(trials):
        op = ops[trial % len(ops)]
        workload = op.workload(op.bench[0], "float32")
        sets: tuple[Arrays, ...] = tuple(
            make_inputs(op, workload, d, trial) for d in ("normal", "negated")
        )
        name = next(iter(op.baselines))
        specs = output_specs(op, workload)
        plan = TimingPlan()
        job = Time(None, op.name, op_file(op), workload, name, sets, specs, plan, name)
        with pool.lock.exclusive():
            samples = pool.run(job, 60.0)
        assert isinstance(samples, Samples), samples
        found = speedup(samples.baseline_us, samples.kernel_us, trial)
        held += found.low <= 1.0 <= found.high
        ratios.append(found.median)
        widths.append(found.high / found.low - 1.0)
    print(f"A/A: 1.00 inside {held} of {trials} intervals", end="; ")
    print(
        f"median ratio {statistics.median(ratios):.4f}, "
        f"interval width {100 * statistics.median(widths):.1f} % (median)"
    )


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--kernels", type=int, default=40)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FOUNDRY_CACHE_DIR"] = folder
        with WorkerPool("cpu", os.cpu_count() or 2, Path(folder)) as pool:
            evaluations_per_second(pool, options.kernels)
            a_a(pool, options.trials)


if __name__ == "__main__":
    main()
