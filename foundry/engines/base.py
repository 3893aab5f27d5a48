"""What every engine promises.

1. A `Program` is a kernel bound to one workload: launches in order, every size resolved.
   It is plain data, so it crosses processes and needs no device to exist.
2. `Engine.build(program)` gives an `Executable`, or a `BuildFailure` when the kernel is at fault.
3. `Executable.bind(inputs)` gives a `Call`; calling it runs all launches once and waits.

Arrays at this border are NumPy arrays (bfloat16 as `ml_dtypes.bfloat16`), so the process that
judges and the process that runs exchange bytes and nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from ops.dtypes import numpy_dtype as numpy_dtype

Arrays = dict[str, NDArray[Any]]
Size3 = tuple[int, int, int]


@dataclass(frozen=True)
class TensorSpec:
    """A named array without its contents; `dtype` is an MLX dtype name."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Launch:
    """One `mx.fast.metal_kernel` call with every argument resolved.

    `grid` and `threadgroup` are in threads. `template` pairs a name with an MLX dtype name, an
    int or a bool, in the order in which `mx.fast.metal_kernel` gets them.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[TensorSpec, ...]
    source: str
    grid: Size3
    threadgroup: Size3
    header: str = ""
    template: tuple[tuple[str, str | int | bool], ...] = ()
    init_value: float | None = None
    atomic_outputs: bool = False
    math_mode: str = "safe"


@dataclass(frozen=True)
class Program:
    """Launches in order over named arrays: `inputs` come from outside, `outputs` are the results.

    An output of a launch that is not in `outputs` is a temporary that later launches may read.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[str, ...]
    launches: tuple[Launch, ...]


@dataclass(frozen=True)
class BuildFailure:
    """The compiler's words for a kernel that does not build; `launch` counts from 0."""

    log: str
    launch: int = 0


@dataclass(frozen=True)
class Device:
    """The hardware and software a kernel ran on. Records of different devices never mix."""

    kind: str
    """`metal`, `cuda` or `cpu`."""
    name: str
    """Human name, such as `Apple M4 Max` or `AMD EPYC (2 cores)`."""
    fingerprint: Mapping[str, str | int | float] = field(default_factory=dict)
    """Everything that may change a timing: chip, cores, memory, OS, MLX and compiler versions."""

    @property
    def id(self) -> str:
        """Short stable key of kind, name and fingerprint."""
        text = json.dumps([self.kind, self.name, dict(self.fingerprint)], sort_keys=True)
        return f"{self.kind}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


class Call(Protocol):
    """A program bound to its input arrays."""

    def __call__(self) -> None:
        """Run every launch once and wait until all results are in memory."""

    def outputs(self) -> Arrays:
        """Results of the latest call, as arrays that later calls do not change."""


class Executable(Protocol):
    """A built program."""

    def bind(
        self,
        inputs: Mapping[str, NDArray[Any]],
        *,
        poison: bool = False,
        over: Call | None = None,
    ) -> Call:
        """Attach inputs (exact shapes and dtypes of `Program.inputs`).

        With `poison`, outputs and temporaries that have no `init_value` start as bytes 0xFF
        (NaN for floats) before each call, so that an element nobody wrote is seen.

        With `over`, an earlier call of this executable, the two share the memory they write to
        where the engine decides that; what one leaves is what the other finds.
        """


@runtime_checkable
class Engine(Protocol):
    """Where kernels run."""

    name: str

    def unavailable(self) -> str | None:
        """None when usable here; otherwise one sentence: what is missing, and the fix."""

    def device(self) -> Device:
        """The device that `build` targets."""

    def build(self, program: Program) -> Executable | BuildFailure:
        """Compile. A kernel at fault is a `BuildFailure`; a broken toolchain raises
        `foundry.errors.EnvironmentUnusable`.
        """


def check_input(array: NDArray[Any], spec: TensorSpec) -> None:
    """Check that an array has the shape and dtype of its spec.

    Raises:
        ValueError: naming the input, what it is and what it must be.
    """
    dtype = numpy_dtype(spec.dtype)
    if array.shape != spec.shape or array.dtype != dtype:
        raise ValueError(
            f"input '{spec.name}' is {array.dtype}{list(array.shape)}, the program takes"
            f" {dtype}{list(spec.shape)}"
        )
