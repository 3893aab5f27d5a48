"""What the chip model said of evaluated kernels: which it tells apart, what a search sees. Pure.

A predicted time is never a measured one: it makes no speedup, no score and no `faster` kernel.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from foundry.judge.verdict import Evaluation
from foundry.report.format import latency
from foundry.store.records import PREDICTIONS

T = TypeVar("T")
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
    left_out: tuple[str, ...] = ()
    """Units whose time is not in it, for want of a figure of the chip."""

    @property
    def bound_words(self) -> str:
        """`memory`, or `memory (arithmetic not known)`."""
        return bound_words(self.bound, self.left_out)

    @property
    def words(self) -> str:
        """`predicted 12.3 us (4 to 30), bound by memory`."""
        between = f"{latency(self.low_us)} to {latency(self.high_us)}"
        return f"predicted {latency(self.us)} us ({between}), bound by {self.bound_words}"


def bound_words(bound: str, left_out: Sequence[str]) -> str:
    """What bounds a kernel, and the units of which that could not be said: `memory (l2 not known)`.

    Args:
        bound: The unit.
        left_out: Units whose time is not in the prediction.
    """
    return f"{bound} ({', '.join(left_out)} not known)" if left_out else bound


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
        tuple(said.get("left_out", ())),
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


def worth(evaluation: Evaluation) -> float | None:
    """What a search steers by: the score of a timed kernel, the predicted gain of another.

    Kernels that the model cannot tell apart may differ here: it decides which is looked at first,
    and says nothing of which is faster; `tells_apart` and `front` do. An op without templates is
    held against a microsecond.
    """
    us = predicted_us(evaluation)
    if us is None or not evaluation.status.passed:
        return evaluation.score
    return (_template_us(evaluation) or 1.0) / us


def tells_apart(one: Evaluation, other: Evaluation) -> bool:
    """Whether the model tells which of two is faster; of kernels that were timed it has no say."""
    first, second = predicted_us(one), predicted_us(other)
    if first is None or second is None:
        return True
    return max(first, second) > predicted_times(one)[0].apart * min(first, second)


class Front(Generic[T]):
    """The kernel that is predicted to be fastest and all that cannot be told from it, as they come.

    Each goes in once and out once: all of them take n log n, however many tie.
    """

    def __init__(self) -> None:
        self._held: dict[str, tuple[Evaluation, T]] = {}
        self._longest_first: list[tuple[float, str]] = []
        self._shortest: Evaluation | None = None

    def add(self, one: Evaluation, what: T) -> None:
        """Take note of a kernel, and of what belongs to it."""
        us = predicted_us(one)
        if us is None or not one.status.passed or one.kernel_hash in self._held:
            return
        least_us = predicted_us(self._shortest) if self._shortest else None
        is_shorter = least_us is None or us < least_us
        if not is_shorter and self._shortest and tells_apart(one, self._shortest):
            return
        self._held[one.kernel_hash] = (one, what)
        heapq.heappush(self._longest_first, (-us, one.kernel_hash))
        if is_shorter:
            self._shortest = one
            self._drop_longer(one)

    def _drop_longer(self, shortest: Evaluation) -> None:
        while tells_apart(self._held[self._longest_first[0][1]][0], shortest):
            _, name = heapq.heappop(self._longest_first)
            del self._held[name]

    def __iter__(self) -> Iterator[tuple[Evaluation, T]]:
        """In the order of their hashes: they are no ranking."""
        return iter([self._held[name] for name in sorted(self._held)])

    def __len__(self) -> int:
        return len(self._held)


def front(found: Iterable[Evaluation]) -> list[Evaluation]:
    """The kernel that is predicted to be fastest and all that cannot be told from it.

    They are no ranking: they come in the order of their hashes.
    """
    held = Front[None]()
    for one in found:
        held.add(one, None)
    return [one for one, _ in held]


def _mean(values: Iterable[float]) -> float | None:
    logs = [math.log(value) for value in values]
    return math.exp(math.fsum(logs) / len(logs)) if logs else None
