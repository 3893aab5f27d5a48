"""A baseline timed against itself: what reads other than 1 is the machine's doing."""

from __future__ import annotations

from foundry.errors import EnvironmentUnusable
from foundry.harness.measuring.jobs import TimingPlan
from foundry.harness.processes.affinity import on_one_processor
from foundry.harness.processes.pool import WorkerPool
from foundry.judge.oracle.inputs import make_inputs
from foundry.judge.time.baselines import bind_baseline, metered
from foundry.judge.time.meter import Halted
from foundry.judge.time.pairs import Latencies, measure
from ops.spec import Op
from ops.workload import Workload

_TWINS = ("one", "other")


def against_itself(
    pool: WorkerPool, op: Op, workload: Workload, plan: TimingPlan, seed: int = 0
) -> Latencies:
    """Times of the first baseline of an op, as both sides of a measurement.

    Raises:
        EnvironmentUnusable: It cannot be timed.
    """
    kind, name = pool.device().kind, next(iter(op.baselines))
    sets = (
        make_inputs(op, workload, "normal", seed),
        make_inputs(op, workload, "normal", seed + 1),
    )
    lines = []
    try:
        with pool.trusted() as worker, on_one_processor([worker.pid]):
            for side in _TWINS:
                meter = metered(worker, kind, op, workload, side)
                meter.bind(bind_baseline(op, workload, name, sets, kind, side))
                lines.append(meter.line(plan))
            return measure(lines[0], lines[1], plan)
    except Halted as halted:
        raise EnvironmentUnusable(
            f"baseline {name} of {op.name} cannot be timed: {halted}.", "Run `foundry doctor`."
        ) from halted
