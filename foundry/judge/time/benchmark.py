"""Timing one proven kernel on one workload: tried, tried again where it drifted, doubted.

1. Kernel and baseline run in processes of their own, in turn, alone on the device, a processor's
   both on the same core. The judge's clocks take the time of whole batches; a worker tells none.
2. The bar is the least of the baseline alone and beside the kernel. Where these disagree, or the
   baseline is mostly dispatch, nothing is timed. Dispatch is taken off both sides (`work`).
3. What stays adrift must win by more than the drift. A time below the physical floor, in the level
   of memory that holds what the calls go through, is `rejected`.
"""

from __future__ import annotations

import statistics
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from foundry.harness.jobs import Crash, Timeout
from foundry.harness.measuring.jobs import Calibrate, Peaks
from foundry.harness.processes.affinity import on_one_processor
from foundry.harness.processes.pool import WorkerPool
from foundry.judge.candidate import Failed, Target
from foundry.judge.stages import Walk
from foundry.judge.time import plausible, trial
from foundry.judge.time.baselines import Bar, Baselines
from foundry.judge.time.meter import undisturbed_us
from foundry.judge.time.statistics import speedup
from foundry.judge.time.trial import TimedTask, Trial, Tried, rejected, untimed
from foundry.judge.time.work import is_mostly_dispatch, of_baseline, of_kernel
from foundry.judge.verdict import HELD_BYTES, TIMING_METHOD, Timing
from ops.spec import bytes_moved, flops

_ATTEMPTS = 3
_CALIBRATION_LIMIT_S = 120.0


@dataclass(frozen=True)
class Measured:
    """A timing, and the facts about it that are no part of its record."""

    timing: Timing
    tried: Tried
    bar: Bar
    attempts: int

    @property
    def drift(self) -> float:
        """1 where the measurement was stable; otherwise how far a side drifted."""
        latencies = self.tried.latencies
        return 1.0 if plausible.is_stable(latencies) else plausible.drift_of(latencies)

    @property
    def facts(self) -> dict[str, Any]:
        """What `Evaluation.extra` keeps: whole times, the graph, stability."""
        return {
            "baseline_whole_us": statistics.median(self.tried.latencies.baseline_us),
            "baseline_alone_us": self.tried.alone_us,
            "baseline_nodes": self.bar.nodes,
            "kernel_whole_us": statistics.median(self.tried.latencies.kernel_us),
            "unseen_factor": self.tried.unseen_factor,
            HELD_BYTES: self.tried.held,
            "attempts": self.attempts,
            "drift": self.drift,
        }


class Benchmark:
    """Times kernels against the baseline to beat.

    Args:
        pool: Workers of the engine.
    """

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool
        self._baselines = Baselines(pool)
        self._peaks: Peaks | None = None
        self._guard = threading.Lock()

    def run(self, walk: Walk, target: Target, program: int, seed: int) -> Measured | Failed:
        """Time one program on inputs of one seed."""
        candidate, plan = walk.candidate, walk.options.plan
        with candidate.stage("oracle"):
            sets = tuple(
                trial.reference(walk, target.workload, s) for s in trial.seeds(seed, "timed")
            )
            # Drawn now, so that nobody waits for it while the device is held.
            trial.reference(walk, target.workload, trial.seeds(seed, "unseen 0")[0])
        task = TimedTask(walk, target, program, sets, seed)
        with _alone(walk), candidate.stage("benchmark"):
            bar = self._baselines.fastest(sets, plan)
            if self._kind == "cpu" and is_mostly_dispatch(bar.latency_us, bar.dispatch_us):
                return untimed(target, _too_small(bar))
            attempts = 0
            while True:
                attempts += 1
                found = self._try(task, bar)
                if isinstance(found, Failed):
                    return found
                beside_us = undisturbed_us(found.latencies.baseline_us)
                agrees = plausible.agrees(bar.latency_us, found.alone_us, beside_us)
                is_calm = agrees and plausible.is_stable(found.latencies)
                if is_calm or attempts == _ATTEMPTS:
                    break
            if not agrees:
                alone_us = min(bar.latency_us, found.alone_us)
                return untimed(target, _disagreement(bar.name, alone_us, beside_us))
            return self._doubted(walk, target, found, bar, attempts)

    @property
    def _kind(self) -> str:
        return self._pool.device().kind

    def _try(self, task: TimedTask, bar: Bar) -> Tried | Failed:
        pids = [task.walk.worker.pid]
        with self._pool.trusted() as trusted, on_one_processor([trusted.pid, *pids]):
            return trial.attempt(Trial(**vars(task), bar=bar, kind=self._kind, trusted=trusted))

    def _doubted(
        self, walk: Walk, target: Target, found: Tried, bar: Bar, attempts: int
    ) -> Measured | Failed:
        try:
            timing = self._timing(walk, target, found, bar)
        except ValueError as error:
            return rejected(target, f"its times are impossible: {error}.")
        if timing.floor_us is not None and timing.kernel_us < timing.floor_us:
            return rejected(
                target,
                f"{timing.kernel_us:.3g} us is less than this device needs to move the bytes or do "
                f"the arithmetic ({timing.floor_us:.3g} us): it does not do all of the work.",
            )
        return Measured(timing, found, bar, attempts)

    def _timing(self, walk: Walk, target: Target, found: Tried, bar: Bar) -> Timing:
        op, workload, latencies = walk.candidate.op, target.workload, found.latencies
        # The least counts of what the baseline takes alone and beside the kernel.
        excess_us = max(0.0, undisturbed_us(latencies.baseline_us) - found.alone_us)
        taken = replace(found.taken, baseline_us=found.taken.baseline_us + excess_us)
        kernel_us = tuple(found.unseen_factor * t for t in latencies.kernel_us)
        works = of_baseline(latencies.baseline_us, taken), of_kernel(kernel_us, taken)
        ratio = speedup(*works)
        return Timing(
            workload=workload.id,
            label=workload.label,
            baseline=bar.name,
            baseline_us=statistics.median(works[0]),
            kernel_us=statistics.median(works[1]),
            speedup=ratio.median,
            speedup_low=ratio.low,
            speedup_high=ratio.high,
            samples_baseline_us=works[0],
            samples_kernel_us=works[1],
            bytes_moved=bytes_moved(op, workload),
            flops=flops(op, workload),
            floor_us=self._floor_us(walk, target, found),
            baseline_dispatch_us=taken.baseline_us,
            kernel_dispatch_us=statistics.median(kernel_us) - statistics.median(works[1]),
            fixed_us=latencies.fixed_us,
            method=TIMING_METHOD,
        )

    def _floor_us(self, walk: Walk, target: Target, found: Tried) -> float | None:
        peaks = self._peaks_of_device()
        if peaks is None:  # every other doubt remains
            return None
        return plausible.floor_us(walk.candidate.op, target.workload, peaks, found.held)

    def _peaks_of_device(self) -> Peaks | None:
        with self._guard:
            if self._peaks is None:
                with self._pool.trusted() as worker, on_one_processor([worker.pid]):
                    found = worker.ask(Calibrate(), _CALIBRATION_LIMIT_S)
                self._peaks = None if isinstance(found, Timeout | Crash) else found
            return self._peaks


@contextmanager
def _alone(walk: Walk) -> Iterator[None]:
    with ExitStack() as held:
        with walk.candidate.stage("wait"):
            held.enter_context(walk.turn.alone())
        yield


def _too_small(bar: Bar) -> str:
    return (
        f"proven, but too small to time on this device: of the {bar.latency_us:.3g} us that the "
        f"baseline '{bar.name}' takes, {bar.dispatch_us:.3g} us are dispatch. Choose a larger "
        "bench case."
    )


def _disagreement(name: str, alone_us: float, beside_us: float) -> str:
    return (
        f"proven, but not timed: the baseline '{name}' takes {alone_us:.3g} us alone and "
        f"{beside_us:.3g} us beside the kernel, {_ATTEMPTS} times over. "
        "Try on an idle device, or a larger bench case."
    )
