"""What a worker can be asked, and what may come back.

A job goes out as a frame and comes back as a result of its own type, or as one of the failures that
end a candidate: `Timeout`, `Crash`. A result is read against what the job asked for: the worker
cannot choose how many bytes, samples or outputs the judge reads.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar, Protocol, TypeVar

from numpy.typing import NDArray

from foundry.harness import frames
from foundry.program import Arrays, BuildFailure, Device, Launch, Program, TensorSpec
from ops.dtypes import numpy_dtype
from ops.workload import Workload

R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True)
class Timeout:
    """Killed at its limit."""

    limit_s: float
    on_gpu: bool = False
    """Whether a GPU that others use as well kept it waiting."""


@dataclass(frozen=True)
class Crash:
    """The worker died, raised, or broke the protocol."""

    reason: str
    signal: int | None = None
    gpu_fault: str | None = None
    """Name of Metal's error, where the GPU's work was stopped: perhaps another program's fault."""


Unanswered = Timeout | Crash


class Job(Protocol[R_co]):
    """A request whose result has the type `R_co`."""

    kind: ClassVar[str]

    @property
    def reply_bytes(self) -> int:
        """Largest payload this job may come back with."""

    def encode(self) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        """Header and buffers of the request."""

    def decode(self, frame: frames.Frame) -> R_co:
        """The result in a reply.

        Raises:
            ReplyError: The reply does not fit the job.
        """


class ReplyError(Exception):
    """A reply that does not fit its job."""


@dataclass(frozen=True)
class Describe:
    """Ask for the device. Result: `Device`."""

    kind: ClassVar[str] = "describe"
    reply_bytes: int = field(default=0, init=False)

    def encode(self) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        """Header and buffers of the request."""
        return {}, []

    def decode(self, frame: frames.Frame) -> Device:
        """The result in a reply."""
        h = frame.header
        return Device(str(h["kind"]), str(h["name"]), dict(h["fingerprint"]))


@dataclass(frozen=True)
class Confine:
    """Give up everything that a kind of process does not need, for good. Result: None."""

    builds: bool
    """Starts the compiler and fills the cache, instead of running kernels."""
    level: int
    """A `sandbox.Level`."""
    readable: tuple[str, ...] = ()
    memory_bytes: int | None = None
    op: str = ""
    op_file: str = ""
    modules: tuple[str, ...] = ()
    """Loaded before, for afterwards their files may be out of reach."""
    kind: ClassVar[str] = "confine"
    reply_bytes: int = field(default=0, init=False)

    def after_loading(self, op: str, op_file: str, modules: tuple[str, ...]) -> Confine:
        """The same, after loading an op from the file that defines it, and some modules."""
        return replace(self, op=op, op_file=op_file, modules=modules)

    def encode(self) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        """Header and buffers of the request."""
        return {key: value for key, value in asdict(self).items() if key != "reply_bytes"}, []

    def decode(self, frame: frames.Frame) -> None:
        """The result in a reply."""


@dataclass(frozen=True)
class Build:
    """Build programs, in parallel; they replace what the worker held. Result: one per program.

    Programs of the same `group` differ in sizes alone, so the first of a group is built before the
    others, which then find it in the engine's cache.
    """

    programs: tuple[Program, ...]
    groups: tuple[int, ...]
    keep: bool = False
    """Add to what the worker holds instead of replacing it."""
    kind: ClassVar[str] = "build"
    reply_bytes: int = field(default=0, init=False)

    def encode(self) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        """Header and buffers of the request."""
        programs = [encode_program(p) for p in self.programs]
        return {"programs": programs, "groups": self.groups, "keep": self.keep}, []

    def decode(self, frame: frames.Frame) -> tuple[BuildFailure | None, ...]:
        """The result in a reply: None for a program that was built."""
        found = frame.header["failures"]
        if len(found) != len(self.programs):
            raise ReplyError("wrong number of build results")
        return tuple(None if f is None else BuildFailure(str(f[0]), int(f[1])) for f in found)


UNBUILT = "unbuilt"
"""Kind of what is no fault: the sanitizer could not build the program, and saw nothing of it."""


@dataclass(frozen=True)
class ReportedFinding:
    """One fault that the sanitizer found, in its own words; `line` is in the kernel file."""

    message: str
    line: int | None
    kind: str = ""
    """Such as `out_of_bounds`; empty where the sanitizer names no kinds."""


@dataclass(frozen=True)
class Examine:
    """Let `sanitizer` (`module:function`) examine a program on inputs. Result: its findings."""

    sanitizer: str
    program: Program
    inputs: Arrays
    ahead: Program | None = None
    """Built meanwhile, for a `Build` that follows."""
    kind: ClassVar[str] = "examine"
    reply_bytes: int = field(default=0, init=False)

    def encode(self) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        """Header and buffers of the request."""
        header, buffers = encode_sets((self.inputs,))
        programs = {
            "program": encode_program(self.program),
            "ahead": encode_program(self.ahead) if self.ahead else None,
        }
        return header | {"sanitizer": self.sanitizer} | programs, buffers

    def decode(self, frame: frames.Frame) -> tuple[ReportedFinding, ...]:
        """The result in a reply."""
        return tuple(
            ReportedFinding(str(message), None if line is None else int(line), str(kind))
            for message, line, kind in frame.header["findings"]
        )


@dataclass(frozen=True)
class Run:
    """Run a built program on sets of inputs. Result: `Results`.

    All sets go through the same buffers, one after the other: equal pointers, new data.
    """

    program: int
    inputs: tuple[Arrays, ...]
    outputs: tuple[TensorSpec, ...]
    repeats: int = 1
    """Calls per set; each starts from poisoned outputs and must give the same bytes."""
    echo: bool = False
    """Run the first set once more in buffers of its own: new pointers, equal data."""
    stale: bool = False
    """Run the first set once more over what the last left in the outputs, which nobody poisons."""
    orders: int = 0
    """Run the first set so many times more, threadgroups begun in another order each time."""
    kind: ClassVar[str] = "run"

    @property
    def sets(self) -> int:
        """How many sets of outputs come back."""
        return len(self.inputs) + int(self.echo) + int(self.stale) + self.orders

    @property
    def reply_bytes(self) -> int:
        """Largest payload this job may come back with."""
        return sum(size_of(t) for t in self.outputs) * self.sets

    def encode(self) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        """Header and buffers of the request."""
        header, buffers = encode_sets(self.inputs)
        more = {
            "program": self.program,
            "repeats": self.repeats,
            "echo": self.echo,
            "stale": self.stale,
            "orders": self.orders,
        }
        return header | more, buffers

    def decode(self, frame: frames.Frame) -> Results:
        """The result in a reply."""
        changed, distinct = frame.header["changed"], frame.header["distinct"]
        if len(changed) != self.sets or len(distinct) != self.sets:
            raise ReplyError("wrong number of checks")
        return Results(
            decode_sets(frame, self.sets),
            tuple(None if name is None else str(name) for name in changed),
            tuple(int(count) for count in distinct),
        )


@dataclass(frozen=True)
class Results:
    """What a program left behind, set by set."""

    outputs: tuple[Arrays, ...]
    changed: tuple[str | None, ...]
    """Name of an input that the kernel wrote to or around, if any."""
    distinct: tuple[int, ...]
    """How many different outputs the repeated calls gave."""


@dataclass(frozen=True)
class BaselineRun:
    """Run one MLX baseline of an op. Result: its outputs."""

    op: str
    op_file: str
    workload: Workload
    name: str
    inputs: Arrays
    outputs: tuple[TensorSpec, ...]
    kind: ClassVar[str] = "baseline"

    @property
    def reply_bytes(self) -> int:
        """Largest payload this job may come back with."""
        # A baseline in the wrong dtype is found by the judge, so leave room for eight bytes each.
        return 8 * sum(math.prod(t.shape) for t in self.outputs)

    def encode(self) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        """Header and buffers of the request."""
        header, buffers = encode_sets((self.inputs,))
        named = encode_op(self.op, self.op_file, self.workload)
        return header | named | {"name": self.name}, buffers

    def decode(self, frame: frames.Frame) -> Arrays:
        """The result in a reply."""
        return decode_sets(frame, 1)[0]


def size_of(spec: TensorSpec) -> int:
    """Bytes of an array."""
    return math.prod(spec.shape) * numpy_dtype(spec.dtype).itemsize


def encode_sets(sets: tuple[Arrays, ...]) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    """Header and buffers of several sets of named arrays."""
    return {"sets": [frames.describe(s) for s in sets]}, [a for s in sets for a in s.values()]


def encode_run(program: Program, inputs: Arrays) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    """Header and buffers of a program and the inputs that it is to run on."""
    header, buffers = encode_sets((inputs,))
    return header | {"program": encode_program(program)}, buffers


def decode_sets(frame: frames.Frame, count: int) -> tuple[Arrays, ...]:
    """Sets of named arrays out of a frame.

    Raises:
        ReplyError: Another number of sets.
    """
    entries = frame.header["sets"]
    if len(entries) != count:
        raise ReplyError("wrong number of outputs")
    sets: list[Arrays] = []
    offset = 0
    for entry in entries:
        arrays, offset = frames.take(frame.payload, entry, offset)
        sets.append(arrays)
    return tuple(sets)


def read_sets(frame: frames.Frame) -> list[Arrays]:
    """Every set of named arrays in a request."""
    return list(decode_sets(frame, len(frame.header["sets"])))


def encode_op(op: str, op_file: str, workload: Workload) -> dict[str, Any]:
    """Header entries that name an op and a workload."""
    return {
        "op": op,
        "op_file": op_file,
        "axes": dict(workload.axes),
        "dtype": workload.dtype,
        "params": dict(workload.params),
        "types": dict(workload.types),
        "absent": list(workload.absent),
    }


def decode_workload(header: Mapping[str, Any]) -> Workload:
    """The workload that `encode_op` named."""
    return Workload(
        header["op"],
        header["axes"],
        header["dtype"],
        header["params"],
        types=header["types"],
        absent=tuple(header["absent"]),
    )


def encode_program(program: Program) -> dict[str, Any]:
    """A program as JSON values."""
    # `asdict` copies every value deeply, which takes longer than all the rest of a message.
    return {
        "inputs": [vars(spec) for spec in program.inputs],
        "outputs": program.outputs,
        "launches": [
            vars(launch) | {"outputs": [vars(spec) for spec in launch.outputs]}
            for launch in program.launches
        ],
    }


def decode_program(value: Mapping[str, Any]) -> Program:
    """The inverse of `encode_program`."""
    return Program(
        tuple(_spec(s) for s in value["inputs"]),
        tuple(value["outputs"]),
        tuple(_launch(v) for v in value["launches"]),
    )


def _launch(value: Mapping[str, Any]) -> Launch:
    fields = dict(value)
    fields["inputs"] = tuple(fields["inputs"])
    fields["outputs"] = tuple(_spec(s) for s in fields["outputs"])
    fields["grid"] = tuple(fields["grid"])
    fields["threadgroup"] = tuple(fields["threadgroup"])
    fields["template"] = tuple((name, argument) for name, argument in fields["template"])
    return Launch(**fields)


def _spec(value: Mapping[str, Any]) -> TensorSpec:
    return TensorSpec(value["name"], tuple(value["shape"]), value["dtype"])
