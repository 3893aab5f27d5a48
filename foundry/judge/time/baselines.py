"""What a kernel must beat: the fastest right way there is without it, on this device and dtype.

It runs in the worker that never meets a kernel: alone when it is chosen, and in turn with the
kernel's worker when that is timed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from foundry.errors import EnvironmentUnusable
from foundry.harness.measuring.baseline import product_of
from foundry.harness.measuring.jobs import BindSide, TimingPlan
from foundry.harness.measuring.timed import product_name
from foundry.harness.processes.affinity import on_one_processor
from foundry.harness.processes.pool import WorkerPool
from foundry.harness.processes.process import WorkerProcess
from foundry.judge.oracle.inputs import make_inputs
from foundry.judge.oracle.references import Reference, op_file, output_specs, run_baseline
from foundry.judge.proof.compare import compare
from foundry.judge.time.meter import Halted, Meter, latency_us, slots_for
from foundry.program import Arrays
from ops.spec import Op, elements_of
from ops.workload import Workload

BASELINE = "baseline"
"""Name of its side."""
_SMALL, _LINKS = "small", "links"
_LOOSE = 32.0
"""Bounds that a rival baseline may be off by; zeros are off by 64 in bfloat16."""
_LIMIT_S = 120.0


@dataclass(frozen=True)
class Bar:
    """The baseline to beat on one workload."""

    name: str
    latency_us: float
    """Alone in the trusted worker when it was chosen, in its calm moments."""
    dispatch_us: float
    """Of it, what is no work: on a processor the time on the smallest workload of the op, on a GPU
    that of the link which chains the calls."""
    nodes: int
    """Operations of MLX's graph, fused ones counting as one."""


class Baselines:
    """The baseline to beat, chosen once per workload and pool.

    Call it with the device lock held exclusively.
    """

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool
        self._chosen: dict[tuple[str, str], Bar] = {}
        self._guard = threading.Lock()

    def fastest(self, sets: Sequence[Reference], plan: TimingPlan) -> Bar:
        """The baseline to beat, on the sets of inputs that a kernel is timed on.

        Raises:
            EnvironmentUnusable: A baseline cannot be timed.
        """
        key = (sets[0].op.name, sets[0].workload.id)
        with self._guard:
            if key not in self._chosen:
                names = list(self._right(sets[0]))
                # There and back, and there again: a machine's calm moment is not one name's alone.
                passes = (*names, *reversed(names), *names)
                bars = [self.alone(sets, name, plan) for name in passes]
                self._chosen[key] = min(bars, key=lambda bar: bar.latency_us)
            return self._chosen[key]

    def alone(self, sets: Sequence[Reference], name: str, plan: TimingPlan) -> Bar:
        """One baseline, with nothing else on the device.

        Raises:
            EnvironmentUnusable: It cannot be timed.
        """
        kind = self._pool.device().kind
        op, workload = sets[0].op, sets[0].workload
        inputs = tuple(reference.inputs for reference in sets)
        try:
            with self._pool.trusted() as worker, on_one_processor([worker.pid]):
                meter = metered(worker, kind, op, workload)
                bound = meter.bind(bind_baseline(op, workload, name, inputs, kind))
                found_us, _ = latency_us(meter.line(plan))
                dispatch_us = _dispatch_us(worker, kind, sets[0], name, plan)
        except Halted as halted:
            raise EnvironmentUnusable(
                f"baseline {name} of {op.name} cannot be timed: {halted}.", "Correct the op."
            ) from halted
        return Bar(name, found_us, dispatch_us, bound.nodes)

    def _right(self, reference: Reference) -> Iterator[str]:
        """Baselines that compute the op, to the precision of T; if none does, the first that runs.

        Users run expressions that add in T, so these set a bar, although no kernel may do the same.
        """
        op, workload = reference.op, reference.workload
        ran: list[str] = []
        right: list[str] = []
        for name in op.baselines:
            outputs = run_baseline(self._pool, op, workload, name, reference.inputs)
            if isinstance(outputs, str):
                continue
            ran.append(name)
            outputs = reference.part_of(outputs)
            pairs = zip(reference.specs, reference.expected, strict=True)
            if all(compare(s, outputs.get(s.name), e).bound_ratio <= _LOOSE for s, e in pairs):
                right.append(name)
        yield from right or ran[:1]
        if product_name() and product_of(op, right) and self._pool.device().kind == "cpu":
            yield product_name()


def metered(
    worker: WorkerProcess, kind: str, op: Op, workload: Workload, side: str = BASELINE
) -> Meter:
    """A side of the trusted worker."""
    return Meter(worker, side, _LIMIT_S, kind, slots_of(kind, op, workload))


def slots_of(kind: str, op: Op, workload: Workload) -> int:
    """Calls of a batch, at most, whose outputs fit into memory together."""
    from foundry.harness.jobs import size_of

    return slots_for(kind, sum(size_of(spec) for spec in output_specs(op, workload)))


def bind_baseline(
    op: Op,
    workload: Workload,
    name: str,
    sets: tuple[Arrays, ...],
    kind: str,
    side: str = BASELINE,
    *,
    links: bool = False,
) -> BindSide:
    """The job that binds a baseline to sets of inputs."""
    return BindSide(
        side,
        sets,
        slots_of(kind, op, workload),
        op=op.name,
        op_file=op_file(op),
        workload=workload,
        baseline=name,
        links=links,
    )


def smallest_workload(op: Op, workload: Workload) -> Workload:
    """Of what the op lists, the workload with the fewest elements that is not empty."""
    listed = (*op.workloads("visible", workload.dtype), *op.workloads("hidden", workload.dtype))
    alike = [
        w
        for w in listed
        if all(w.axes.values()) and w.absent == workload.absent and w.types == workload.types
    ]
    return min(alike, key=lambda w: elements_of(op, w), default=workload)


def _dispatch_us(
    worker: WorkerProcess, kind: str, reference: Reference, name: str, plan: TimingPlan
) -> float:
    op, workload = reference.op, reference.workload
    if kind != "cpu":
        job = bind_baseline(op, workload, name, (reference.inputs,), kind, _LINKS, links=True)
        meter = metered(worker, kind, op, workload, _LINKS)
    else:
        workload = smallest_workload(op, workload)
        inputs = make_inputs(op, workload, "normal", 0)
        job = bind_baseline(op, workload, name, (inputs,), kind, _SMALL)
        meter = metered(worker, kind, op, workload, _SMALL)
    meter.bind(job)
    found_us, _ = latency_us(meter.line(plan))
    return found_us
