"""Jobs that measure: paired timing, the parent's own clock, and what the device can do at most."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from numpy.typing import NDArray

from foundry.harness import frames
from foundry.harness.jobs import ReplyError, decode_sets, encode_op, encode_sets, size_of
from foundry.program import Arrays, TensorSpec
from ops.spec import Workload

STARTED, STOPPED = "started", "stopped"
"""Events a worker sends around what it measures, so that the judge's clock sees it too."""


@dataclass(frozen=True)
class TimingPlan:
    """How long to measure."""

    blocks: int = 30
    """A/B/B/A blocks, at most; each gives two pairs."""
    min_blocks: int = 10
    """Blocks measured even when the budget is spent."""
    precision: float = 0.005
    """Standard error of the log-ratio below which no more blocks are measured."""
    share: float = 0.03
    """The same as a share of the log-ratio: what is far from 1 need not be known as well."""
    budget_s: float = 0.5
    """Time for all blocks together."""
    batch_us: float = 200.0
    """Shortest stretch between two readings of the clock; calls are repeated to fill it."""
    baseline_batch_us: float = 500.0
    """The same for MLX, where each wait costs tens of microseconds more."""
    warm_up_s: float = 0.05
    """Longest warm-up of one side; it ends once three batches in a row agree."""
    cold: bool = False
    """Also measure over a working set larger than the last cache."""


@dataclass(frozen=True)
class Samples:
    """Raw timing: latency of one call, pair by pair, as the worker claims them."""

    baseline_us: tuple[float, ...]
    kernel_us: tuple[float, ...]
    repeats: tuple[int, int]
    """Calls between two readings of the clock: of the baseline, of the kernel."""
    outputs: tuple[Arrays, ...] = ()
    """What a call like the timed ones left in the outputs, for each set of inputs."""
    dispatch_us: float = 0.0
    """Latency of a call of the engine that does nothing."""
    cold_baseline_us: tuple[float, ...] = ()
    cold_kernel_us: tuple[float, ...] = ()
    changed: tuple[str | None, ...] = ()
    """Name of an input that the timed calls wrote to or around, set by set; then the same for the
    inputs of the baseline."""


@dataclass(frozen=True)
class Time:
    """Time a built program against a baseline, interleaved. Result: `Samples`.

    Without a program the baseline is timed against the baseline `rival`.
    """

    program: int | None
    op: str
    op_file: str
    workload: Workload
    baseline: str
    inputs: tuple[Arrays, ...]
    outputs: tuple[TensorSpec, ...]
    plan: TimingPlan = field(default_factory=TimingPlan)
    rival: str | None = None
    audits: int = 0
    """So many of the last sets are not timed: the program meets them once, after the others, over
    what the timed calls left in its outputs."""
    ghost: int | None = None
    """A program that does nothing, from which the engine's dispatch cost is read."""
    kind: ClassVar[str] = "time"

    @property
    def reply_bytes(self) -> int:
        """Largest payload this job may come back with."""
        return sum(size_of(t) for t in self.outputs) * len(self.inputs)

    def encode(self) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        """Header and buffers of the request."""
        header, buffers = encode_sets(self.inputs)
        more = {
            "program": self.program,
            "baseline": self.baseline,
            "rival": self.rival,
            "ghost": self.ghost,
            "audits": self.audits,
            "plan": asdict(self.plan),
        }
        return header | encode_op(self.op, self.op_file, self.workload) | more, buffers

    def decode(self, frame: frames.Frame) -> Samples:
        """The result in a reply."""
        h = frame.header
        baseline, kernel = _pairs(h["pairs"], 2, 2 * self.plan.blocks)
        cold_baseline, cold_kernel = _pairs(h["cold"], 0, 2 * self.plan.blocks)
        repeats = h["repeats"]
        return Samples(
            baseline,
            kernel,
            (int(repeats[0]), int(repeats[1])),
            decode_sets(frame, len(self.inputs)) if self.program is not None else (),
            float(h["dispatch_us"]),
            cold_baseline,
            cold_kernel,
            tuple(None if name is None else str(name) for name in h["changed"]),
        )


@dataclass(frozen=True)
class Clocked:
    """The same stretch of calls by two clocks."""

    claimed_s: float
    """By the worker's."""
    wall_s: float
    """By the judge's."""


@dataclass(frozen=True)
class Solo:
    """Call what was timed last `calls` more times. Result: `Clocked`."""

    calls: int
    kind: ClassVar[str] = "solo"
    reply_bytes: int = field(default=0, init=False)

    def encode(self) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        """Header and buffers of the request."""
        return {"calls": self.calls}, []

    def decode(self, frame: frames.Frame) -> Clocked:
        """The result in a reply."""
        wall_s = frame.moments[STOPPED] - frame.moments[STARTED]
        return Clocked(float(frame.header["claimed_s"]), wall_s)


@dataclass(frozen=True)
class Peaks:
    """The most that a device was seen to do."""

    cached_gb_s: float
    """Bytes read and written per nanosecond within the caches."""
    memory_gb_s: float
    """The same for a working set larger than they are."""
    cache_bytes: int
    gflops: float
    """float32 operations per nanosecond in a matrix product."""
    mlx_dispatch_us: float
    """Latency of one of many MLX operations that do nothing."""


@dataclass(frozen=True)
class Calibrate:
    """Measure the device. Result: `Peaks`."""

    kind: ClassVar[str] = "calibrate"
    reply_bytes: int = field(default=0, init=False)

    def encode(self) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        """Header and buffers of the request."""
        return {}, []

    def decode(self, frame: frames.Frame) -> Peaks:
        """The result in a reply."""
        h = frame.header
        return Peaks(
            float(h["cached_gb_s"]),
            float(h["memory_gb_s"]),
            int(h["cache_bytes"]),
            float(h["gflops"]),
            float(h["mlx_dispatch_us"]),
        )


def _pairs(found: object, least: int, most: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if not isinstance(found, list) or not least <= len(found) <= most:
        raise ReplyError("wrong number of timing samples")
    return tuple(float(b) for b, _ in found), tuple(float(k) for _, k in found)
