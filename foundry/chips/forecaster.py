"""What the chip model says of kernels of a search, beside the best template of their op."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from foundry.chips.chip import Chip
from foundry.chips.fitted import Fitted
from foundry.chips.prediction import Prediction, predicted_on
from foundry.chips.profiled import Profiler
from foundry.errors import InvalidKernel
from foundry.harness.measuring.profiling import Unprofiled
from foundry.kernel import Kernel, parse
from ops.spec import Op
from ops.workload import Workload
from templates import default, for_op, render


class ChipForecaster:
    """Predicts on one chip; templates are predicted once. Safe to use from several threads."""

    def __init__(self, profiler: Profiler, chip: Chip, fitted: Fitted) -> None:
        self.chip = chip
        self._profiler = profiler
        self._fitted = fitted
        self._guard = threading.Lock()
        self._templates_us: dict[str, float | None] = {}

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
        template_us = self._template_us(op, workload)
        return {**found.document(), "template_us": template_us, "apart": self._fitted.apart}

    def _predicted(self, kernel: Kernel, op: Op, workload: Workload) -> Prediction | str:
        profile = self._profiler.profile(kernel, op, workload)
        if isinstance(profile, Unprofiled):
            return profile.reason
        return predicted_on(profile, self.chip, self._fitted)

    def _template_us(self, op: Op, workload: Workload) -> float | None:
        with self._guard:
            if workload.id not in self._templates_us:
                self._templates_us[workload.id] = min(self._templates(op, workload), default=None)
            return self._templates_us[workload.id]

    def _templates(self, op: Op, workload: Workload) -> Iterator[float]:
        for template in for_op(op.name):
            try:
                kernel = parse(render(template, default(template)))
                found = self._predicted(kernel, op, workload)
            except InvalidKernel:
                # A template of a user's own that does not fit the workload: the judge says so.
                continue
            if isinstance(found, Prediction):
                yield found.us
