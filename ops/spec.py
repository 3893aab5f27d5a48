"""The nouns of the registry: `Op`, its tensors and parameters, and a `Workload` of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ops.baselines import Baseline, Bound
from ops.errors import UsageError, unknown
from ops.expressions import Expression, evaluate, holds
from ops.matches import Close, Exact, Match

Scalar = float | int | bool
Oracle = Callable[[Mapping[str, NDArray[Any]], "Workload"], tuple[NDArray[Any], ...]]
CaseSet = Literal["visible", "hidden", "bench"]

FLOAT_DTYPES = ("float32", "float16", "bfloat16")
DTYPE_BYTES: Mapping[str, int] = MappingProxyType(
    {
        "float32": 4,
        "float16": 2,
        "bfloat16": 2,
        "int64": 8,
        "uint64": 8,
        "int32": 4,
        "uint32": 4,
        "int16": 2,
        "uint16": 2,
        "int8": 1,
        "uint8": 1,
        "bool_": 1,
    }
)


@dataclass(frozen=True)
class Tensor:
    """An input or output of an op."""

    name: str
    shape: tuple[Expression, ...]
    """One expression over the op's axes per dimension."""
    dtype: str = "T"
    """`T` for the workload's element type, or a fixed MLX dtype name."""
    domain: str = "real"
    """What values an input takes: `real`, `unit` (0..1), `positive`, or `index < EXPRESSION`."""
    match: Match | None = None
    """How an output is compared; None: integers exactly, all else within the error model."""

    @property
    def compared(self) -> Match:
        """How it is compared wherever `T` is a float."""
        fallback = Close() if self.dtype in ("T", *FLOAT_DTYPES) else Exact()
        return self.match or fallback


@dataclass(frozen=True)
class Case:
    """Axis sizes and parameter values of one workload, without the dtype."""

    axes: Mapping[str, int]
    params: Mapping[str, Scalar] = field(default_factory=dict)
    label: str = ""
    """Where the shape comes from, such as `llama-3.2-1b decode`; empty for test shapes."""


@dataclass(frozen=True)
class Workload:
    """An op with concrete axis sizes, dtype and parameters."""

    op: str
    axes: Mapping[str, int]
    dtype: str
    params: Mapping[str, Scalar] = field(default_factory=dict)
    label: str = ""

    @property
    def id(self) -> str:
        """Unique text form, such as `softmax[rows=8,cols=2048]float32`; parameters follow axes."""
        named = {**self.axes, **self.params}
        return f"{self.op}[{','.join(f'{k}={_exactly(v)}' for k, v in named.items())}]{self.dtype}"

    def __hash__(self) -> int:
        return hash(self.id)


@dataclass(frozen=True)
class Op:
    """A mathematical operation: what to compute, and how to know that it was computed."""

    name: str
    family: str
    formula: str
    """The mathematics, in words and symbols a proposer can read; states ties and conventions."""
    axes: tuple[str, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    oracle: Oracle
    """float64 NumPy from the formula: `(inputs, workload) -> one array per output`. Float inputs
    arrive as float64, integer inputs as they are."""
    baselines: Mapping[str, Baseline | str]
    """MLX a user would write today, by name, as text; bare text is a `Baseline` not compiled. The
    first honours the formula to the letter, ties included, and is what a fallback runs; the others
    may do less, and set a bar for timing only."""
    flops: str
    """FLOPs of one call: an expression over the axes (2 per multiply-add, 4 per transcendental)."""
    visible: tuple[Case, ...]
    hidden: tuple[Case, ...]
    bench: tuple[Case, ...]
    params: Mapping[str, Scalar] = field(default_factory=dict)
    """Parameter names and defaults. float -> float32, int -> int32, bool -> bool_ 0-d inputs."""
    dtypes: tuple[str, ...] = FLOAT_DTYPES
    constraints: tuple[str, ...] = ()
    """Conditions on the axes, such as `head_dim % 2 == 0`."""
    compiled: tuple[str, ...] = ()
    """Axes that kernels take as compile-time constants: every further value is a build."""
    bytes: str | None = None
    """Compulsory traffic in bytes over axes and `itemsize`; None: every tensor once."""

    def baseline(self, name: str) -> Baseline:
        """The baseline of that name.

        Raises:
            UsageError: There is none; carries the nearest names.
        """
        if name not in self.baselines:
            raise unknown(f"baseline of {self.name}", name, self.baselines)
        found = self.baselines[name]
        return Baseline(found) if isinstance(found, str) else found

    def bound_baseline(self, name: str, workload: Workload) -> Bound:
        """A baseline with the numbers of a workload set: takes the input arrays in order.

        Raises:
            UsageError: No such baseline, or this MLX lacks something it asks for.
        """
        values = {**workload.axes, **workload.params, "dtype": workload.dtype}
        return self.baseline(name).bind(tuple(t.name for t in self.inputs), values)

    def workload(self, case: Case, dtype: str) -> Workload:
        """A case of this op as a workload, checked.

        Raises:
            UsageError: Unknown dtype, axis or parameter, a missing axis, a negative size, or a
                constraint that does not hold.
        """
        if dtype not in self.dtypes:
            raise unknown("dtype", dtype, self.dtypes)
        for kind, given, known in (
            ("axis", case.axes, self.axes),
            ("parameter", case.params, tuple(self.params)),
        ):
            for name in given:
                if name not in known:
                    raise unknown(f"{kind} of {self.name}", name, known)
        axes = {name: self._size(case, name) for name in self.axes}
        for condition in self.constraints:
            if not holds(condition, axes):
                raise UsageError(f"{self.name}: {condition} does not hold for {axes}")
        params = {name: self._value(case, name) for name in self.params}
        return Workload(self.name, axes, dtype, params, case.label)

    def workloads(self, cases: CaseSet, dtype: str) -> tuple[Workload, ...]:
        """All visible, hidden or bench workloads in one dtype."""
        chosen: tuple[Case, ...] = getattr(self, cases)
        return tuple(self.workload(case, dtype) for case in chosen)

    def _value(self, case: Case, name: str) -> Scalar:
        default = self.params[name]
        value = case.params.get(name, default)
        if (
            isinstance(value, bool) is not isinstance(default, bool)
            or type(default)(value) != value
        ):
            kind = type(default).__name__
            raise UsageError(f"{self.name}: parameter '{name}' is {value!r}; give a {kind}")
        return type(default)(value)

    def _size(self, case: Case, name: str) -> int:
        if name not in case.axes:
            raise UsageError(f"{self.name}: axis '{name}' has no size; give {', '.join(self.axes)}")
        if case.axes[name] < 0:
            raise UsageError(f"{self.name}: axis '{name}' is {case.axes[name]}; sizes are >= 0")
        return int(case.axes[name])


def shape_of(tensor: Tensor, workload: Workload) -> tuple[int, ...]:
    """Concrete shape of an op's tensor in a workload."""
    return tuple(evaluate(dim, workload.axes) for dim in tensor.shape)


def dtype_of(tensor: Tensor, workload: Workload) -> str:
    """Concrete MLX dtype name of an op's tensor in a workload."""
    return workload.dtype if tensor.dtype == "T" else tensor.dtype


def match_of(tensor: Tensor, workload: Workload) -> Match:
    """How an output is compared in a workload; where `T` is an integer, nothing is rounded."""
    is_whole = dtype_of(tensor, workload) not in FLOAT_DTYPES
    return Exact() if is_whole and isinstance(tensor.compared, Close) else tensor.compared


def reduction_length(tensor: Tensor, workload: Workload) -> int:
    """Terms summed into one element of an output, at least 1."""
    match = match_of(tensor, workload)
    return max(1, evaluate(match.reduction, workload.axes)) if isinstance(match, Close) else 1


def oracle_dtype(dtype: str) -> np.dtype[Any]:
    """The NumPy dtype in which an oracle takes and gives a tensor of an MLX dtype."""
    return np.dtype(np.float64 if dtype in FLOAT_DTYPES else dtype.rstrip("_"))


def widen(op: Op, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The op's input arrays as its oracle takes them: floats in float64, integers as they are."""
    found = {t.name: inputs[t.name] for t in op.inputs}
    return {
        n: a.astype(np.float64) if a.dtype.name in FLOAT_DTYPES else a for n, a in found.items()
    }


def param_dtype(value: Scalar) -> str:
    """MLX dtype name in which a parameter reaches a kernel as a 0-d input."""
    if isinstance(value, bool):
        return "bool_"
    return "int32" if isinstance(value, int) else "float32"


def param_value(workload: Workload, name: str) -> float:
    """A parameter as a kernel receives it: rounded to the dtype of `param_dtype`."""
    value = workload.params[name]
    return float(np.float32(value)) if param_dtype(value) == "float32" else float(value)


def _exactly(value: Scalar) -> str:
    # Nine digits tell any two float32 apart; integers keep every digit.
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def bytes_moved(op: Op, workload: Workload) -> int:
    """Compulsory memory traffic of one call in bytes: the op's own model, or each tensor once."""
    itemsize = DTYPE_BYTES[workload.dtype]
    if op.bytes is not None:
        return evaluate(op.bytes, {**workload.axes, "itemsize": itemsize})
    return sum(
        math.prod(shape_of(t, workload)) * DTYPE_BYTES[dtype_of(t, workload)]
        for t in (*op.inputs, *op.outputs)
    )


def flops(op: Op, workload: Workload) -> int:
    """FLOPs of one call."""
    return evaluate(op.flops, workload.axes)


def dtypes_of(ops: tuple[Op, ...]) -> Iterator[str]:
    """Dtypes that any of the ops supports, each once, in the order met."""
    yield from dict.fromkeys(d for op in ops for d in op.dtypes)
