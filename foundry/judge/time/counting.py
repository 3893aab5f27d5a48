"""Counters beside an evaluation: what the SIMD-groups of a proven kernel do to memory.

They cost a build and a short run, model a GPU whatever the device is, and decide nothing.
"""

from __future__ import annotations

from typing import Any

from foundry.errors import EnvironmentUnusable, InvalidKernel
from foundry.harness.jobs import Crash, Timeout
from foundry.harness.measuring.counting import Count, Uncounted
from foundry.harness.processes.pool import WorkerPool
from foundry.judge.options import bench_workloads
from foundry.judge.oracle.inputs import make_inputs
from foundry.judge.verdict import Evaluation
from foundry.kernel import Kernel, bind, line_in_file, parse
from foundry.msl.counters import summarise
from ops.spec import Op, bytes_moved, flops
from ops.workload import Workload

KEY = "counters"
"""In `Evaluation.extra`: by workload, a summary, or why there is none (`uncounted`)."""
_LIMIT_S = 60.0
_DISTRIBUTION = "normal"


def with_counters(
    pool: WorkerPool,
    evaluation: Evaluation,
    text: str,
    op: Op,
    bench: str | tuple[str, ...] = "quick",
) -> Evaluation:
    """The evaluation with the counters of every workload it was timed on.

    One that did not pass is given back as it is. A kernel that was proven and not timed is counted
    on the workloads that were chosen for it.
    """
    if not evaluation.status.passed:
        return evaluation
    timed = {timing.workload for timing in evaluation.timings}
    workloads = [w for w in bench_workloads(op, evaluation.dtype, "full") if w.id in timed]
    workloads = workloads or list(bench_workloads(op, evaluation.dtype, bench))
    kernel = parse(text)
    found = {w.id: _count(pool, kernel, op, w, evaluation.seed) for w in workloads}
    return evaluation.model_copy(update={"extra": {**evaluation.extra, KEY: found}})


def _count(
    pool: WorkerPool, kernel: Kernel, op: Op, workload: Workload, seed: int
) -> dict[str, Any]:
    try:
        program = bind(kernel, op, workload)
    except InvalidKernel as error:  # it may be for small sizes alone
        return {"uncounted": error.reason}
    job = Count(program, make_inputs(op, workload, _DISTRIBUTION, seed))
    try:
        with pool.lease() as lease, pool.lock.shared():
            found = (lease.builder or lease.runner).ask(job, _LIMIT_S)
    except EnvironmentUnusable as error:  # no compiler here: the device itself may need none
        return {"uncounted": str(error)}
    match found:
        case Timeout():
            return {"uncounted": f"not done after {found.limit_s:g} s"}
        case Crash() | Uncounted():
            return {"uncounted": found.reason}
    return summarise(
        found,
        flops(op, workload),
        bytes_moved(op, workload),
        lambda launch, part, line: line_in_file(kernel, launch, part, line),
    )
