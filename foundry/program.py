"""What runs: a kernel bound to one workload, as plain data, and the device it runs on.

A `Program` is launches in order with every size resolved. It crosses processes and needs no device
to exist. Arrays at this border are NumPy arrays (bfloat16 as `ml_dtypes.bfloat16`), so the process
that judges and the process that runs exchange bytes and nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from ops.dtypes import numpy_dtype

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
    """`metal`, `cpu`, or what another package's engine calls its hardware."""
    name: str
    """Human name, such as `Apple M4 Max` or `AMD EPYC (2 cores)`."""
    fingerprint: Mapping[str, str | int | float] = field(default_factory=dict)
    """Everything that may change a timing: chip, cores, memory, OS, MLX and compiler versions."""

    @property
    def id(self) -> str:
        """Short stable key of kind, name and fingerprint."""
        text = json.dumps([self.kind, self.name, dict(self.fingerprint)], sort_keys=True)
        return f"{self.kind}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


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
