"""How much faster than the op's first template a kernel would be on a chip that is not here."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from foundry.chips import fitted, registry
from foundry.chips.plausible import asks_who_compiles, is_whole, traffic_bytes
from foundry.chips.prediction import predicted_on
from foundry.chips.profiled import Profiler
from foundry.harness.processes.pool import WorkerPool
from foundry.judge.options import bench_workloads
from foundry.kernel import Kernel, parse
from foundry.msl.gpu.profile import GpuProfile
from ops.spec import Op
from templates import default, for_op, render


@dataclass(frozen=True)
class _Forecast:
    """What is known of a kernel on the workload."""

    us: float
    profile: GpuProfile


class Forecaster:
    """Predicts on one chip; what it compares with is predicted once.

    Args:
        pool: Workers that profile.
        chip: Its key.
        seed: Of the inputs that kernels are run on. They are as secret as it is: a kernel that
            knew them could do nothing for them.
    """

    def __init__(self, pool: WorkerPool, chip: str, seed: int = 0) -> None:
        self._chip = registry.get(chip)
        self._profiler = Profiler(pool, seed)
        self._guard = threading.Lock()
        self._guards: dict[tuple[str, str], threading.Lock] = {}
        self._references: dict[tuple[str, str], _Forecast] = {}

    def speedup(self, kernel: Kernel, op: Op, dtype: str) -> float | None:
        """Predicted time of the first template over that of a kernel.

        None where either is none, or where the kernel hides its work from what is profiled.
        """
        own = None if asks_who_compiles(kernel) else self._forecast(kernel, op, dtype)
        reference = self._reference(op, dtype) if own else None
        if own is None or reference is None:
            return None
        (workload,) = bench_workloads(op, dtype, "quick")
        if not is_whole(own.profile, op, workload, traffic_bytes(reference.profile)):
            return None
        return reference.us / own.us

    def _reference(self, op: Op, dtype: str) -> _Forecast | None:
        """What is compared with; one that could not be profiled is asked for again."""
        key = (op.name, dtype)
        with self._guard:
            own = self._guards.setdefault(key, threading.Lock())
        with own:  # others wait for the same op alone
            found = self._references.get(key) or self._of_template(op, dtype)
            if found:
                self._references[key] = found
        return found

    def _of_template(self, op: Op, dtype: str) -> _Forecast | None:
        templates = for_op(op.name)
        if not templates:
            return None
        return self._forecast(parse(render(templates[0], default(templates[0]))), op, dtype)

    def _forecast(self, kernel: Kernel, op: Op, dtype: str) -> _Forecast | None:
        (workload,) = bench_workloads(op, dtype, "quick")
        profile = self._profiler.profile(kernel, op, workload)
        if not isinstance(profile, GpuProfile):
            return None
        us = predicted_on(profile, self._chip, fitted.built_in()).us
        return _Forecast(us, profile) if us else None
