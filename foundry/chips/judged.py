"""Where kernels are judged: on a device that is here, or for a chip that is not.

For a chip, the cpu engine proves what is right, as always, and the chip model says how long it
would take: nothing is timed, so nothing is `faster`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from foundry.chips import fitted, registry
from foundry.chips.device import chip_named, device_of
from foundry.chips.forecaster import ChipForecaster
from foundry.chips.prediction import predictable
from foundry.chips.profiled import Profiler
from foundry.harness.processes.pool import WorkerPool
from foundry.judge.judge import Judge
from foundry.judge.options import NOBODY, JudgeOptions, Rivals, bench_workloads, is_settled
from foundry.judge.verdict import Evaluation
from foundry.kernel import Kernel, parse
from foundry.program import Device
from foundry.report.predicted import UNPREDICTED
from foundry.store.records import PREDICTIONS
from ops.spec import Op

Choice = str | tuple[str, ...]


class PredictingJudge:
    """Judges as a `Judge` that times nothing, and predicts. Safe to use from several threads.

    Args:
        judge: Proves kernels.
        forecaster: Predicts their times.
        device: Whose records the evaluations become.
        bench: The bench workloads that are predicted.
    """

    def __init__(
        self, judge: Judge, forecaster: ChipForecaster, device: Device, bench: Choice = "quick"
    ) -> None:
        self._judge = judge
        self._forecaster = forecaster
        self._device = device
        self._bench = bench

    def evaluate(
        self,
        kernel: Kernel | str,
        op: Op,
        dtype: str,
        seed: int | None = None,
        *,
        rivals: Rivals = NOBODY,
    ) -> Evaluation:
        """Judge one kernel, as `Judge.evaluate`; its predicted time is always the same."""
        found = self._judge.evaluate(kernel, op, dtype, seed, rivals=rivals)
        found = found.model_copy(update={"device_id": self._device.id})
        return self.with_predictions(found, kernel, op)

    @property
    def chip(self) -> str:
        """Its key."""
        return self._forecaster.chip.key

    def with_predictions(self, evaluation: Evaluation, kernel: Kernel | str, op: Op) -> Evaluation:
        """The evaluation of a kernel with what is predicted of it; of a failure, as it is."""
        if not evaluation.status.passed:
            return evaluation
        proven = parse(kernel) if isinstance(kernel, str) else kernel
        said = self._said(proven, op, evaluation.dtype)
        return evaluation.model_copy(update={"extra": {**evaluation.extra, **said}})

    def expect_looks(self, op: str, dtype: str, count: int) -> None:
        """Nothing to expect: no kernel has a chance to look fast by luck."""

    def _said(self, kernel: Kernel, op: Op, dtype: str) -> dict[str, Any]:
        said, unsaid = {}, {}
        for workload in bench_workloads(op, dtype, self._bench):
            found = self._forecaster.document(kernel, op, workload)
            if isinstance(found, str):
                unsaid[workload.id] = found
            else:
                said[workload.id] = {self._forecaster.chip.key: found}
        return {
            name: found for name, found in ((PREDICTIONS, said), (UNPREDICTED, unsaid)) if found
        }


@dataclass(frozen=True)
class JudgeSeat:
    """A device with all that judges on it."""

    device: Device
    """Whose records the evaluations are."""
    pool: WorkerPool
    judge: Judge | PredictingJudge
    settled: Callable[[Evaluation, Op], bool]
    """Whether a stored evaluation says all that is asked here."""


@contextmanager
def judge_seat(device: str, workers: int, options: JudgeOptions) -> Iterator[JudgeSeat]:
    """Open the workers and the judge of a device, or of a chip that is not here.

    Args:
        device: As `--device` takes it: `cpu`, `metal`, `model:m4-max`.
        workers: Processes.
        options: Of the judge.

    Raises:
        UsageError: An unknown chip, with the nearest, or one of which too little is known.
        EnvironmentUnusable: The device cannot be used.
    """
    key = chip_named(device)
    if key is None:
        with WorkerPool(device, workers) as pool:
            judge = Judge(pool, options)
            yield JudgeSeat(
                pool.device(), pool, judge, lambda e, op: is_settled(e, op, options.bench)
            )
        return
    chip, fit = predictable(registry.get(key)), fitted.built_in()
    with WorkerPool("cpu", workers) as pool:
        found = device_of(chip, fit, pool.device())
        bench = options.bench if options.timed else ()
        judge = Judge(pool, replace(options, timed=False, proves_bench=options.timed))
        forecaster = ChipForecaster(Profiler(pool), chip, fit)
        yield JudgeSeat(
            found,
            pool,
            PredictingJudge(judge, forecaster, found, bench),
            lambda e, op: _is_predicted(e, op, bench),
        )


def _is_predicted(evaluation: Evaluation, op: Op, bench: Choice) -> bool:
    """Whether it failed, or every chosen workload was predicted or is said not to be."""
    said = (
        evaluation.extra.get(PREDICTIONS, {}).keys() | evaluation.extra.get(UNPREDICTED, {}).keys()
    )
    asked = {workload.id for workload in bench_workloads(op, evaluation.dtype, bench)}
    return not evaluation.status.passed or asked <= said
