"""What the chip model said of evaluated kernels: which it tells apart, what a search sees. Pure.

A predicted time is never a measured one: it makes no speedup, no score and no `faster` kernel.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from foundry.judge.verdict import Evaluation
from foundry.report.format import latency
from foundry.store.records import PREDICTIONS

_ROUNDING = 1e-9
UNPREDICTED = "unpredicted"
"""In `Evaluation.extra`: by workload, why nothing is predicted there."""
MODEL = "model"
"""Kind of a device that is a chip which is not here: kernels are proven here, times predicted."""


@dataclass(frozen=True)
class PredictedTime:
    """Of a kernel on one workload of one chip."""

    workload: str
    chip: str
    us: float
    low_us: float
    high_us: float
    """Four times of five it lies between these, where the model holds."""
    bound: str
    sentences: tuple[str, ...]
    """What bounds it, and what would move it."""
    template_us: float | None
    """Predicted for the best template; None where the op has none, or none can be predicted."""
    apart: float
    """Kernels whose predicted times differ by less cannot be told apart."""

    @property
    def words(self) -> str:
        """`predicted 12.3 us (4 to 30), bound by memory`."""
        between = f"{latency(self.low_us)} to {latency(self.high_us)}"
        return f"predicted {latency(self.us)} us ({between}), bound by {self.bound}"


def predicted_times(evaluation: Evaluation) -> tuple[PredictedTime, ...]:
    """What a search for a chip keeps of a kernel; nothing of a kernel of another device."""
    return tuple(
        _predicted_time(workload, chip, said)
        for workload, by_chip in evaluation.extra.get(PREDICTIONS, {}).items()
        for chip, said in by_chip.items()
        if "apart" in said
    )


def _predicted_time(workload: str, chip: str, said: Mapping[str, Any]) -> PredictedTime:
    return PredictedTime(
        workload,
        chip,
        said["predicted_us"],
        said["low_us"],
        said["high_us"],
        said["bound"],
        tuple(said["sentences"]),
        said["template_us"],
        said["apart"],
    )


def predicted_us(evaluation: Evaluation) -> float | None:
    """The predicted time, geometric mean of the workloads; None where one was not predicted."""
    if evaluation.extra.get(UNPREDICTED):
        return None
    return _mean(one.us for one in predicted_times(evaluation))


def predicted_gain(evaluation: Evaluation) -> float | None:
    """Predicted time of the best template over that of the kernel; None without either.

    It is no speedup: nothing was timed, and MLX is not what it is held against.
    """
    us, template_us = predicted_us(evaluation), _template_us(evaluation)
    return template_us / us if us and template_us else None


def _template_us(evaluation: Evaluation) -> float | None:
    """Of the best template on each workload, geometric mean; None where one is not known."""
    references = [one.template_us for one in predicted_times(evaluation)]
    return None if None in references else _mean(us for us in references if us is not None)


def worth(evaluation: Evaluation, shortest_us: float | None = None) -> float | None:
    """What a search steers by: the score of a timed kernel, the predicted gain of another.

    A predicted gain counts in steps as long as what the model tells apart, from the shortest down:
    kernels of one step are equals, and all that cannot be told from the shortest are on the first.
    An op without templates is held against a microsecond.

    Args:
        evaluation: Of a kernel.
        shortest_us: The shortest predicted time of the search; None: that of the best template.
    """
    times, us = predicted_times(evaluation), predicted_us(evaluation)
    if us is None or not evaluation.status.passed:
        return evaluation.score
    template_us = _template_us(evaluation) or 1.0
    anchor_us = shortest_us or template_us
    step = math.log(times[0].apart)
    steps = math.ceil(math.log(us / anchor_us) / step - _ROUNDING) - 1
    return template_us / anchor_us * math.exp(-step * (max(steps, 0) if shortest_us else steps))


def tells_apart(one: Evaluation, other: Evaluation) -> bool:
    """Whether the model tells which of two is faster; of kernels that were timed it has no say."""
    first, second = predicted_us(one), predicted_us(other)
    if first is None or second is None:
        return True
    return max(first, second) > predicted_times(one)[0].apart * min(first, second)


def front(found: Iterable[Evaluation]) -> list[Evaluation]:
    """The kernel that is predicted to be fastest and all that cannot be told from it.

    They are no ranking: they come in the order of their hashes.
    """
    passed = [one for one in found if one.status.passed and predicted_us(one) is not None]
    if not passed:
        return []
    shortest = min(passed, key=lambda one: predicted_us(one) or math.inf)
    ties = {one.kernel_hash: one for one in passed if not tells_apart(one, shortest)}
    return [one for _, one in sorted(ties.items())]


def _mean(values: Iterable[float]) -> float | None:
    logs = [math.log(value) for value in values]
    return math.exp(math.fsum(logs) / len(logs)) if logs else None
