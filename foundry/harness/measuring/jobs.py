"""Jobs that measure. A worker puts sides together and runs batches of them; it tells no times.

A side is a kernel or a baseline bound to several sets of inputs. `Ready` prepares a batch of its
calls, outside of the clock; `Go` runs it, and the judge takes the time with clocks of its own.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from numpy.typing import NDArray

from foundry.harness import frames
from foundry.harness.jobs import ReplyError, decode_sets, encode_op, encode_sets, size_of
from foundry.program import Arrays, TensorSpec
from ops.workload import Workload

Encoded = tuple[dict[str, Any], list[NDArray[Any]]]


@dataclass(frozen=True)
class TimingPlan:
    """How long to measure."""

    blocks: int = 24
    """A/B/B/A blocks, at most; each gives two pairs."""
    min_blocks: int = 8
    """Blocks measured even when the budget is spent."""
    precision: float = 0.005
    """Standard error of the log-ratio below which no more blocks are measured."""
    share: float = 0.03
    """The same as a share of the log-ratio: what is far from 1 need not be known as well."""
    budget_s: float = 0.6
    """Time for all blocks together."""
    batch_us: float = 800.0
    """What the longer of two batches fills, if that takes no more calls than one may have."""
    gpu_batch_us: float = 8000.0
    """The same on a GPU, where a wait alone takes a hundred microseconds, and varies."""


@dataclass(frozen=True)
class BoundSide:
    """What the worker tells of a side that it put together."""

    nodes: int
    """Operations of one call in MLX's graph; 0 for what is no part of a graph."""


@dataclass(frozen=True)
class BindSide:
    """Bind a program, or a baseline where there is none, to sets of inputs. Result: `BoundSide`.

    Calls rotate over the sets. With `links` alone what chains calls of that side on a GPU is bound.
    """

    side: str
    inputs: tuple[Arrays, ...]
    """None at all: zeros, for a program that does nothing."""
    slots: int
    """Calls of a batch, at most: each has memory of its own to write to."""
    program: int | None = None
    op: str = ""
    op_file: str = ""
    workload: Workload | None = None
    baseline: str = ""
    links: bool = False
    kind: ClassVar[str] = "bind_side"
    reply_bytes: int = field(default=0, init=False)

    def encode(self) -> Encoded:
        """Header and buffers of the request."""
        header, buffers = encode_sets(self.inputs)
        more: dict[str, Any] = {
            "side": self.side,
            "slots": self.slots,
            "program": self.program,
            "baseline": self.baseline,
            "links": self.links,
        }
        if self.workload is not None:
            more |= encode_op(self.op, self.op_file, self.workload)
        return header | more, buffers

    def decode(self, frame: frames.Frame) -> BoundSide:
        """The result in a reply."""
        return BoundSide(int(frame.header["nodes"]))


@dataclass(frozen=True)
class Renew:
    """Put other inputs where those of a side lie: equal pointers, new data. Result: None."""

    side: str
    inputs: tuple[Arrays, ...]
    kind: ClassVar[str] = "renew"
    reply_bytes: int = field(default=0, init=False)

    def encode(self) -> Encoded:
        """Header and buffers of the request."""
        header, buffers = encode_sets(self.inputs)
        return header | {"side": self.side}, buffers

    def decode(self, frame: frames.Frame) -> None:
        """The result in a reply."""


@dataclass(frozen=True)
class Ready:
    """Prepare a batch: nothing of earlier calls is left in any memory. Result: None."""

    side: str
    calls: int
    keep: bool = False
    """Leave everything as the batch before left it: who wants to remember may."""
    kind: ClassVar[str] = "ready"
    reply_bytes: int = field(default=0, init=False)

    def encode(self) -> Encoded:
        """Header and buffers of the request."""
        return {"side": self.side, "calls": self.calls, "keep": self.keep}, []

    def decode(self, frame: frames.Frame) -> None:
        """The result in a reply."""


@dataclass(frozen=True)
class Go:
    """Run the batch that is ready, and wait for all of it. Result: None."""

    kind: ClassVar[str] = "go"
    reply_bytes: int = field(default=0, init=False)

    def encode(self) -> Encoded:
        """Header and buffers of the request."""
        return {}, []

    def decode(self, frame: frames.Frame) -> None:
        """The result in a reply."""


@dataclass(frozen=True)
class Leftovers:
    """What calls of the latest batch left behind."""

    outputs: tuple[Arrays, ...]
    changed: str | None
    """Name of an input that is no longer as it was, or whose surroundings are not."""


@dataclass(frozen=True)
class Left:
    """Ask for the outputs of some calls of the latest batch of a side. Result: `Leftovers`."""

    side: str
    calls: tuple[int, ...]
    outputs: tuple[TensorSpec, ...]
    kind: ClassVar[str] = "left"

    @property
    def reply_bytes(self) -> int:
        """Largest payload this job may come back with."""
        return sum(size_of(t) for t in self.outputs) * len(self.calls)

    def encode(self) -> Encoded:
        """Header and buffers of the request."""
        return {"side": self.side, "calls": self.calls}, []

    def decode(self, frame: frames.Frame) -> Leftovers:
        """The result in a reply."""
        changed = frame.header["changed"]
        outputs = decode_sets(frame, len(self.calls))
        return Leftovers(outputs, None if changed is None else str(changed))


@dataclass(frozen=True)
class Reach:
    """A level of memory."""

    size: int
    """Bytes that it holds."""
    gb_s: float
    """Bytes that one processor, or the GPU, was seen to read and write in it per nanosecond."""


@dataclass(frozen=True)
class Peaks:
    """The most that a device was seen to do; of a processor, by one of its cores."""

    caches: tuple[Reach, ...]
    """Smallest first."""
    memory_gb_s: float
    """Bytes read and written per nanosecond for a working set larger than they are."""
    gflops: float
    """float32 operations per nanosecond in a matrix product."""

    def gb_s(self, held: int) -> float:
        """Bandwidth of the level that holds so many bytes."""
        found = (cache.gb_s for cache in self.caches if held <= cache.size)
        return next(found, self.memory_gb_s)

    def document(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Calibrate:
    """Measure the device. Result: `Peaks`."""

    kind: ClassVar[str] = "calibrate"
    reply_bytes: int = field(default=0, init=False)

    def encode(self) -> Encoded:
        """Header and buffers of the request."""
        return {}, []

    def decode(self, frame: frames.Frame) -> Peaks:
        """The result in a reply."""
        h = frame.header
        if len(h["caches"]) > _MOST_CACHES:
            raise ReplyError("more caches than any device has")
        caches = tuple(Reach(int(c["size"]), float(c["gb_s"])) for c in h["caches"])
        return Peaks(caches, float(h["memory_gb_s"]), float(h["gflops"]))


_MOST_CACHES = 8
