"""What is learnt about one kernel on one device: status, findings, errors, timings.

Plain data. The status decides which parts may be present, and `Evaluation` enforces it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

TIMING_METHOD = 5
"""2: slopes between batches of two lengths by the judge's clocks, dispatch taken off both sides.
3: the baseline alone is measured beside the pairs; intervals are order statistics of the blocks,
and span two measurements on other inputs in other memory.
4: what is not ahead of its rivals is measured once, and its interval widened as much.
5: on the cpu both sides lie in small pages."""
HELD_BYTES = "held_bytes"
"""Key among the facts of a timing: bytes that calls went through before they came to the same."""

JUDGE_VERSION = 24
"""Goes up whenever a verdict could change; evaluations of another version are judged again."""


class Status(StrEnum):
    """The one status enum: database, JSON, prompts, datasets."""

    INVALID = "invalid"
    """Does not parse, or breaks the rules."""
    BUILD_ERROR = "build_error"
    """The compiler refused it."""
    SANITIZER_ERROR = "sanitizer_error"
    """The sanitizer found an access, race or barrier fault."""
    WRONG_RESULT = "wrong_result"
    """Some output differs from the oracle beyond the error model."""
    TIMEOUT = "timeout"
    """Killed at its time limit."""
    CRASH = "crash"
    """The worker died under it."""
    REJECTED = "rejected"
    """Right, but the judge caught a cheat or an impossible time."""
    CORRECT = "correct"
    """Proven; not timed, or not faster."""
    FASTER = "faster"
    """Proven, and a second measurement confirms that its speedup is above 1."""

    @property
    def passed(self) -> bool:
        """Whether the kernel was proven right and honest."""
        return self in (Status.CORRECT, Status.FASTER)


class Record(BaseModel):
    """Base of everything that is stored: immutable, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Diagnostic(Record):
    """One sentence about a failure, fit for a terminal, a prompt and a dataset."""

    stage: str
    """Where it stopped: parse, sanitize, build, verify, benchmark."""
    message: str
    """What, which value, what to do next; compiler text keeps its own lines."""
    workload: str | None = None
    """`Workload.id` under which it appeared."""
    hidden: bool = False
    """A hidden workload: never shown to a proposer in detail."""
    line: int | None = None
    """Line in the canonical kernel file."""

    @property
    def headline(self) -> str:
        """The first line of the message; empty where it says nothing."""
        return next(iter(self.message.splitlines()), "")


class OutputError(Record):
    """How far one output was from the oracle on one workload."""

    workload: str
    output: str
    max_abs_error: float
    bound_ratio: float
    """Largest error divided by its bound; above 1 is wrong."""


class Timing(Record):
    """Paired timing of kernel and baseline on one workload."""

    workload: str
    label: str = ""
    baseline: str
    """Name of the baseline expression."""
    baseline_us: float
    """Median latency of the baseline, microseconds."""
    kernel_us: float
    """Median latency of the kernel, microseconds."""
    speedup: float
    """exp(median of log(baseline / kernel)) over pairs."""
    speedup_low: float
    """Lower end of the interval that holds the median 95 times in 100."""
    speedup_high: float
    samples_baseline_us: tuple[float, ...] = ()
    samples_kernel_us: tuple[float, ...] = ()
    """Raw samples, pair by pair."""
    bytes_moved: int = 0
    flops: int = 0
    floor_us: float | None = None
    """Physical floor on this device, where measured."""
    baseline_dispatch_us: float = 0.0
    """What was taken off every sample of the baseline, for it is no work of its own: dispatch, and
    what it takes longer beside the kernel than alone."""
    kernel_dispatch_us: float = 0.0
    """The same for the kernel."""
    fixed_us: float = 0.0
    """What a wait costs once, however many calls it is for; no sample holds any of it."""
    method: int = 1
    """Version of the way in which times are taken. 1: dispatch is in every sample."""


class Proven(Record):
    """Sizes on which a kernel was run and was right: from the least to the largest of each axis.

    Two long axes at once are proven as far as the elements, those written, and the FLOPs go. An
    index of 32 bits wraps beyond 2^31 elements: no workload is so large, so nothing is proven
    there.
    """

    axes: dict[str, tuple[int, int]]
    """Least size above 0, and largest."""
    params: dict[str, tuple[float, float]] = Field(default_factory=dict)
    """Least and largest value of each parameter that is a number."""
    elements: int
    """Of the largest workload: all its inputs and outputs together."""
    written: int = 0
    """Elements of all outputs of the workload that writes most: most of `elements` may be weights,
    and a kernel that ends early would hide behind them. 0: it is not on record."""
    flops: int = 0
    """Of the workload with most, where nothing is skipped: an axis that no array shows beside
    another, such as the terms of a product, counts here alone. 0: it is not on record."""
    unwatched: int | None = None
    """Workloads that the sanitizer did not watch, for want of time; None: it watched none, or that
    is not on record."""
    left_out: int = 0
    """Of these, workloads of compiled sizes that it was not proven at: where all points of a
    template are proven, each has a share of them."""
    dtypes: tuple[str, ...] = ()
    """Dtypes of the op in which it was right: the evaluation's own, and all others before it is
    `faster`. It is shipped under its own alone."""


def score_of(timings: Sequence[Timing]) -> float:
    """Geometric mean of the lower ends; summed as logarithms, for products underflow to 0."""
    return math.exp(math.fsum(math.log(t.speedup_low) for t in timings) / len(timings))


class Evaluation(Record):
    """All that was learnt about one kernel on one device in one dtype."""

    kernel_hash: str
    op: str
    dtype: str
    device_id: str
    status: Status
    diagnostics: tuple[Diagnostic, ...] = ()
    errors: tuple[OutputError, ...] = ()
    timings: tuple[Timing, ...] = ()
    stage_ms: dict[str, float] = Field(default_factory=dict)
    """Wall time per stage in milliseconds: parse, build, verify, benchmark."""
    judge_version: int = JUDGE_VERSION
    seed: int = 0
    proven: Proven | None = None
    """The sizes on which a kernel that passed was right."""
    extra: dict[str, Any] = Field(default_factory=dict)
    """Counters and other facts of an engine."""

    @model_validator(mode="after")
    def _status_decides(self) -> Evaluation:
        if not self.status.passed and not self.diagnostics:
            raise ValueError(f"status {self.status} needs a diagnostic that says why")
        if self.status is Status.FASTER and not self.timings:
            raise ValueError("status faster needs timings")
        return self

    @property
    def score(self) -> float | None:
        """Lower confidence bound of the speedup: geometric mean over timed workloads."""
        return score_of(self.timings) if self.timings and self.status.passed else None

    @property
    def why(self) -> str:
        """First diagnostic as one line, empty when there is none."""
        return self.diagnostics[0].headline if self.diagnostics else ""
