"""What a prediction costs beside a judge's own work: the time of each, cold and known.

    .venv/bin/python tests/bench/bench_predict.py [--ops softmax,...] [--points 4] [--chip m4-max]

For points of the templates of some ops: a cold prediction (the kernel is built as for a GPU, and a
few threadgroups of it run), the same once more (kept by kernel), and for another chip (no kernel
runs again). Beside it what judging the same kernel takes, which builds and runs it anyway. Wall
times in a new cache; on a machine that does other things too they say little.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from foundry.chips import fitted, registry
from foundry.chips.prediction import predicted_on
from foundry.chips.profiled import Profiler
from foundry.harness.measuring.profiling import Unprofiled
from foundry.harness.processes.pool import WorkerPool
from foundry.judge import Judge, JudgeOptions
from foundry.judge.options import bench_workloads
from foundry.kernel import Kernel, parse
from foundry.msl.gpu.profile import GpuProfile
from ops import registry as ops
from ops.spec import Op
from ops.workload import Workload
from templates import for_op, render, space

OPS = "softmax,rms_norm,layer_norm,matmul,cumsum,silu,attention,rope,row_sum,gelu_tanh"
LIMIT_MS = 300.0
"""Of a prediction, beyond the judge's own work."""
DTYPE = "float32"
COLUMNS = ("cold", "known", "judged")
HEAD = "| op | kernels | cold ms | known ms | judged ms | longest cold |\n|---|---|---|---|---|---|"


def kernels(op: Op, count: int) -> Iterator[Kernel]:
    """Different points of the op's templates, in turn."""
    covers = [(t, list(space.coverage(t, Random(0)))) for t in for_op(op.name)]
    every = [(t, points[n]) for n in range(count) for t, points in covers if n < len(points)]
    yield from (parse(render(template, point)) for template, point in every[:count])


def timed_ms(what: Callable[[], Any]) -> tuple[float, Any]:
    """How long a call takes, and what it gives."""
    start_s = time.perf_counter()
    found = what()
    return (time.perf_counter() - start_s) * 1e3, found


def measured(
    profiler: Profiler, judge: Judge, kernel: Kernel, op: Op, workload: Workload, chip: str
) -> dict[str, float] | None:
    """Milliseconds by column; None of a kernel of which nothing can be said."""

    def predict() -> Any:
        found = profiler.profile(kernel, op, workload)
        if isinstance(found, GpuProfile):
            return predicted_on(found, registry.get(chip), fitted.built_in())
        return found

    cold, found = timed_ms(predict)
    if isinstance(found, Unprofiled):
        print(f"{op.name}: left out: {found.reason}")
        return None
    known, _ = timed_ms(predict)
    judged, _ = timed_ms(lambda: judge.evaluate(kernel, op, DTYPE))
    return {"cold": cold, "known": known, "judged": judged}


def of_op(
    profiler: Profiler, judge: Judge, op: Op, asked: argparse.Namespace, modes: set[str]
) -> Iterator[dict[str, float]]:
    """Those of an op; the first of a math mode builds what all of that mode are built against."""
    workload = bench_workloads(op, DTYPE, "quick")[0]
    for kernel in kernels(op, asked.points):
        found = measured(profiler, judge, kernel, op, workload, asked.chip)
        own = {launch.math_mode for launch in kernel.launches}
        if found and own <= modes:
            yield found
        modes |= own


def row(name: str, found: list[dict[str, float]]) -> str:
    """Medians, and the longest cold one."""
    cells = [f"{statistics.median(one[c] for one in found):.0f}" for c in COLUMNS]
    longest = max(one["cold"] for one in found)
    return f"| {name} | {len(found)} | {' | '.join(cells)} | {longest:.0f} |"


def main() -> None:
    """Print a row an op, then all together against the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ops", default=OPS)
    parser.add_argument("--points", type=int, default=4)
    parser.add_argument("--chip", default="m4-max")
    asked = parser.parse_args()
    every: list[dict[str, float]] = []
    modes: set[str] = set()
    print(HEAD)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FOUNDRY_CACHE_DIR"] = folder
        with WorkerPool("cpu", workers=1) as pool:
            judge = Judge(pool, JudgeOptions(timed=False, proves_bench=True))
            for name in asked.ops.split(","):
                op = ops.get(name)
                found = list(of_op(Profiler(pool), judge, op, asked, modes))
                every += found
                if found:
                    print(row(name, found), flush=True)
    over = sum(one["cold"] > LIMIT_MS for one in every)
    print(row("all", every))
    print(f"{over} of {len(every)} predictions took more than {LIMIT_MS:g} ms")


if __name__ == "__main__":
    main()
