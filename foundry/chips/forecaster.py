"""What the chip model says of kernels of a search, beside the best template of their op."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from foundry.chips.chip import Chip
from foundry.chips.fitted import Fitted
from foundry.chips.plausible import (
    ASKS,
    TOO_LITTLE,
    asks_who_compiles,
    is_whole,
    traffic_bytes,
)
from foundry.chips.prediction import Prediction, predicted_on
from foundry.chips.profiled import Profiler
from foundry.errors import InvalidKernel
from foundry.harness.measuring.profiling import Unprofiled
from foundry.kernel import Kernel, parse
from foundry.msl.gpu.profile import GpuProfile
from ops.spec import Op
from ops.workload import Workload
from templates import default, for_op, render


@dataclass(frozen=True)
class _Templates:
    """The templates of an op on one workload: the shortest time, the least traffic."""

    us: float
    least_bytes: float


class ChipForecaster:
    """Predicts on one chip; templates are predicted once. Safe to use from several threads."""

    def __init__(self, profiler: Profiler, chip: Chip, fitted: Fitted) -> None:
        self.chip = chip
        self._profiler = profiler
        self._fitted = fitted
        self._guard = threading.Lock()
        self._known: dict[str, _Templates | None] = {}

    def document(self, kernel: Kernel, op: Op, workload: Workload) -> dict[str, Any] | str:
        """A prediction as plain data, or why there is none.

        Beside the prediction's own: `template_us`, predicted for the best template at its first
        point, and `apart`, the ratio below which two predictions are no ranking.
        """
        try:
            found = self._predicted(kernel, op, workload)
        except InvalidKernel as error:
            return f"the kernel does not fit this workload: {error.reason}"
        if isinstance(found, str):
            return found
        if asks_who_compiles(kernel):
            return ASKS
        said, profile = found
        templates = self._templates_on(op, workload)
        if templates and not is_whole(profile, op, workload, templates.least_bytes):
            return TOO_LITTLE
        template_us = templates.us if templates else None
        return {**said.document(), "template_us": template_us, "apart": self._fitted.apart}

    def _predicted(
        self, kernel: Kernel, op: Op, workload: Workload
    ) -> tuple[Prediction, GpuProfile] | str:
        profile = self._profiler.profile(kernel, op, workload)
        if isinstance(profile, Unprofiled):
            return profile.reason
        return predicted_on(profile, self.chip, self._fitted), profile

    def _templates_on(self, op: Op, workload: Workload) -> _Templates | None:
        with self._guard:
            if workload.id not in self._known:
                found = list(self._templates(op, workload))
                self._known[workload.id] = (
                    _Templates(min(us for us, _ in found), min(moved for _, moved in found))
                    if found
                    else None
                )
            return self._known[workload.id]

    def _templates(self, op: Op, workload: Workload) -> Iterator[tuple[float, float]]:
        """Predicted time and traffic of each."""
        for template in for_op(op.name):
            try:
                kernel = parse(render(template, default(template)))
                found = self._predicted(kernel, op, workload)
            except InvalidKernel:
                # A template of a user's own that does not fit the workload: the judge says so.
                continue
            if not isinstance(found, str):
                yield found[0].us, traffic_bytes(found[1])
