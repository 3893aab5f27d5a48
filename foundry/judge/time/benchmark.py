"""Timing one proven kernel on one workload: measured, measured again where it drifted, doubted.

1. The fastest right baseline is timed in the same pairs, alone on the device.
2. The timed calls' own outputs must be right, and their inputs unchanged.
3. A measurement during which a side drifted, or the baseline was far slower than it is alone, is
   made again. What stays slowed is refused; what stays adrift must win by more than the drift.
4. Claimed times must agree with the judge's clock and with physics, or the kernel is `rejected`.
"""

from __future__ import annotations

import math
import statistics
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from foundry.harness.jobs import Crash, Timeout
from foundry.harness.measuring.jobs import Calibrate, Clocked, Peaks, Samples, Solo
from foundry.harness.processes.pool import WorkerPool
from foundry.judge.candidate import Failed, Target
from foundry.judge.oracle.references import Reference
from foundry.judge.proof.verify import hold
from foundry.judge.stages import Walk, stopped
from foundry.judge.time import plausible
from foundry.judge.time.baselines import Bar, Baselines, timing_job
from foundry.judge.time.statistics import speedup
from foundry.judge.verdict import Diagnostic, Status, Timing
from ops.spec import bytes_moved, flops

TIMED_SETS = ("normal", "negated")
"""Distributions that timed calls rotate over."""
AUDITED_SETS = ("touched",)
"""Distributions on which a kernel is called once more when it has been timed: nearly the same as
what it was timed on, for whoever only glances at the inputs."""
_ATTEMPTS = 3
_CLOCK_ATTEMPTS = 5
_CALIBRATION_LIMIT_S = 120.0


@dataclass(frozen=True)
class Measured:
    """A timing, and the facts about it that are no part of its record."""

    timing: Timing
    samples: Samples
    attempts: int
    mlx_dispatch_us: float

    @property
    def drift(self) -> float:
        """1 where the measurement was stable; otherwise how far a side drifted."""
        return 1.0 if plausible.is_stable(self.samples) else plausible.drift_of(self.samples)

    @property
    def facts(self) -> dict[str, Any]:
        """What `Evaluation.extra` keeps: dispatch costs, stability, the cold measurement."""
        facts: dict[str, Any] = {
            "baseline_dispatch_us": self.mlx_dispatch_us,
            "kernel_dispatch_us": self.samples.dispatch_us,
            "attempts": self.attempts,
            "drift": self.drift,
        }
        if self.samples.cold_kernel_us:
            cold = speedup(self.samples.cold_baseline_us, self.samples.cold_kernel_us)
            facts["cold"] = {
                "baseline_us": statistics.median(self.samples.cold_baseline_us),
                "kernel_us": statistics.median(self.samples.cold_kernel_us),
                "speedup": cold.median,
                "speedup_low": cold.low,
                "speedup_high": cold.high,
            }
        return facts


@dataclass(frozen=True)
class Trial:
    """What one program is timed on, and against."""

    walk: Walk
    target: Target
    program: int
    sets: tuple[Reference, ...]
    bar: Bar


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
        candidate = walk.candidate
        with candidate.stage("oracle"):
            sets = tuple(
                walk.references.get(candidate.op, target.workload, d, seed)
                for d in (*TIMED_SETS, *AUDITED_SETS)
            )
        with _alone(walk), candidate.stage("benchmark"):
            trial = Trial(walk, target, program, sets, self._baselines.fastest(sets[0]))
            found = self._measure(trial)
            if isinstance(found, Failed):
                return found
            return self._doubt(trial, found) or found

    def _measure(self, trial: Trial) -> Measured | Failed:
        walk = trial.walk
        ghost = walk.ghost if walk.candidate.probe else None
        plan, audits = walk.options.plan, len(AUDITED_SETS)
        job = timing_job(
            trial.sets, trial.program, trial.bar.name, plan, ghost=ghost, audits=audits
        )
        slowed = False
        for attempt in range(1, _ATTEMPTS + 1):
            samples = walk.worker.ask(job, walk.options.time_limit_s)
            if isinstance(samples, Timeout | Crash):
                return stopped(samples, "benchmark", trial.target)
            if failed := _doubt_results(trial, samples):
                return failed
            try:
                timing = self._timing(trial, samples)
            except ValueError as error:
                return rejected(f"its times are impossible: {error}.", trial.target)
            mlx_dispatch_us = self._peaks_of_device().mlx_dispatch_us
            measured = Measured(timing, samples, attempt, mlx_dispatch_us)
            slowed = self._is_slowed(trial, samples)
            if not slowed and plausible.is_stable(samples):
                break
        return _refused(trial) if slowed else measured

    def _is_slowed(self, trial: Trial, samples: Samples) -> bool:
        beside_us = plausible.undisturbed_us(samples.baseline_us)
        if not plausible.is_slowed(beside_us, trial.bar.latency_us):
            return False
        # The device itself may be slower now than when the baseline was chosen.
        return plausible.is_slowed(beside_us, self._baselines.again(trial.sets[0], trial.bar.name))

    def _doubt(self, trial: Trial, measured: Measured) -> Failed | None:
        timing = measured.timing
        if timing.floor_us is not None and timing.kernel_us < timing.floor_us:
            return rejected(
                f"{timing.kernel_us:.3g} us is less than this device needs to move the bytes or do "
                f"the arithmetic ({timing.floor_us:.3g} us): it does not do all of the work.",
                trial.target,
            )
        solo = Solo(plausible.solo_calls(timing.kernel_us))
        clocked = Clocked(0.0, 0.0)
        for _ in range(_CLOCK_ATTEMPTS):
            found = trial.walk.worker.ask(solo, trial.walk.options.time_limit_s)
            if isinstance(found, Timeout | Crash):
                return stopped(found, "benchmark", trial.target)
            clocked = found
            if not plausible.contradicts(clocked):
                return None
        return rejected(
            f"its worker's clock says {clocked.claimed_s * 1e3:.3g} ms for {solo.calls} calls, the "
            f"judge's clock {clocked.wall_s * 1e3:.3g} ms: somebody tampered with the time.",
            trial.target,
        )

    def _timing(self, trial: Trial, samples: Samples) -> Timing:
        op, workload = trial.walk.candidate.op, trial.target.workload
        ratio = speedup(samples.baseline_us, samples.kernel_us)
        return Timing(
            workload=workload.id,
            label=workload.label,
            baseline=trial.bar.name,
            baseline_us=statistics.median(samples.baseline_us),
            kernel_us=statistics.median(samples.kernel_us),
            speedup=ratio.median,
            speedup_low=ratio.low,
            speedup_high=ratio.high,
            samples_baseline_us=samples.baseline_us,
            samples_kernel_us=samples.kernel_us,
            bytes_moved=bytes_moved(op, workload),
            flops=flops(op, workload),
            floor_us=plausible.floor_us(op, workload, self._peaks_of_device()),
        )

    def _peaks_of_device(self) -> Peaks:
        with self._guard:
            if self._peaks is None:
                with self._pool.trusted() as worker:
                    found = worker.ask(Calibrate(), _CALIBRATION_LIMIT_S)
                # Without figures there is no floor; every other doubt remains.
                unknown = Peaks(math.inf, math.inf, 0, math.inf, 0.0)
                self._peaks = unknown if isinstance(found, Timeout | Crash) else found
            return self._peaks


@contextmanager
def _alone(walk: Walk) -> Iterator[None]:
    with ExitStack() as held:
        with walk.candidate.stage("wait"):
            held.enter_context(walk.turn.alone())
        yield


def rejected(message: str, target: Target) -> Failed:
    """A kernel that is right, but whose times cannot be believed."""
    said = Diagnostic(stage="benchmark", message=message, workload=target.workload.id)
    return Failed(Status.REJECTED, said)


def _refused(trial: Trial) -> Failed:
    """A kernel that stays proven and untimed, because the device is no place to time on now."""
    bar = trial.bar
    message = (
        f"proven, but not timed: the baseline '{bar.name}' takes {bar.latency_us:.3g} us alone and "
        f"several times as long beside the kernel, {_ATTEMPTS} times over. Try on an idle device."
    )
    workload = trial.target.workload.id
    return Failed(Status.CORRECT, Diagnostic(stage="benchmark", message=message, workload=workload))


def _doubt_results(trial: Trial, samples: Samples) -> Failed | None:
    for reference, outputs in zip(trial.sets, samples.outputs, strict=True):
        if failed := hold(trial.walk.candidate, trial.target, reference, outputs):
            said = f"its timed calls went wrong: {failed.diagnostic.message}"
            return rejected(said, trial.target)
    for name in samples.changed:
        if name is not None:
            return rejected(f"its timed calls wrote to their input '{name}'.", trial.target)
    return None
