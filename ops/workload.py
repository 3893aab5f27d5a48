"""A `Workload` of an op, and what its tensors are there: shapes, dtypes, how they are compared."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ops import fills
from ops.dtypes import DTYPE_BYTES, FLOAT_DTYPES
from ops.fills import Fill
from ops.matches import Close, Exact, Match, Set, Ties
from ops.parameters import Scalar
from ops.texts.expressions import Expression, evaluate

ELEMENT = "T"
"""Name of the type variable that stands for a workload's element type."""


@dataclass(frozen=True)
class Tensor:
    """An input or output of an op."""

    name: str
    shape: tuple[Expression, ...]
    """One expression over the op's axes per dimension."""
    dtype: str = ELEMENT
    """`T` for the workload's element type, a type variable of `Op.types`, or an MLX dtype name."""
    fill: Fill | None = None
    """What values an input holds; None: every value of its dtype."""
    match: Match | None = None
    """How an output is compared; None: integers exactly, all else within the error model."""
    optional: bool = False
    """Whether an input may be absent; a case says where it is."""
    infinite: bool = False
    """Whether infinities are values of an output, such as the logarithm of a sum of nothing; else
    an oracle that gives one of ordinary inputs is wrong."""
    continues: str = ""
    """Name of the input that an output starts as, such as the cache that it appends to. The kernel
    writes every element all the same."""

    @property
    def is_whole(self) -> bool:
        """Whether it holds whole numbers or truth values."""
        return self.dtype in DTYPE_BYTES and self.dtype not in FLOAT_DTYPES

    @property
    def compared(self) -> Match:
        """How it is compared wherever `T` is a float."""
        return self.match or (Exact() if self.is_whole else Close())

    @property
    def flag(self) -> str:
        """The constant that tells a kernel whether an optional input is there: `HAS_BIAS`."""
        return f"HAS_{self.name.upper()}"


@dataclass(frozen=True)
class Case:
    """Axis sizes and parameter values of one workload, without the dtype."""

    axes: Mapping[str, int]
    params: Mapping[str, Scalar] = field(default_factory=dict)
    label: str = ""
    """Where the shape comes from, such as `llama-3.2-1b decode`; empty for test shapes."""
    types: Mapping[str, str] = field(default_factory=dict)
    """Dtypes of type variables other than `T`; one left out takes every dtype it may have."""
    absent: tuple[str, ...] = ()
    """Optional inputs that are not given."""


@dataclass(frozen=True)
class Workload:
    """An op with concrete axis sizes, dtype and parameters."""

    op: str
    axes: Mapping[str, int]
    dtype: str
    params: Mapping[str, Scalar] = field(default_factory=dict)
    label: str = ""
    types: Mapping[str, str] = field(default_factory=dict)
    """Dtypes of the op's type variables other than `T`."""
    absent: tuple[str, ...] = ()
    """Optional inputs that are not given, in the op's order."""

    @functools.cached_property
    def id(self) -> str:
        """Unique text form, such as `softmax[rows=8,cols=2048]float32`.

        Parameters follow axes, then type variables other than `T`, then what is absent.
        """
        missing = dict.fromkeys(self.absent, "absent")
        named = {**self.axes, **self.params, **self.types, **missing}
        return f"{self.op}[{','.join(f'{k}={_exactly(v)}' for k, v in named.items())}]{self.dtype}"

    def __hash__(self) -> int:
        return hash(self.id)


def shape_of(tensor: Tensor, workload: Workload) -> tuple[int, ...]:
    """Concrete shape of an op's tensor in a workload."""
    return tuple(evaluate(dim, workload.axes) for dim in tensor.shape)


def dtype_of(tensor: Tensor, workload: Workload) -> str:
    """Concrete MLX dtype name of an op's tensor in a workload."""
    return resolved(tensor.dtype, workload)


def resolved(dtype: str, workload: Workload) -> str:
    """The MLX dtype that a type variable stands for in a workload; any other name as it is."""
    return workload.dtype if dtype == ELEMENT else workload.types.get(dtype, dtype)


def fill_of(tensor: Tensor, workload: Workload) -> Fill:
    """What fills an input in a workload."""
    return tensor.fill or fills.default(dtype_of(tensor, workload))


def kernel_shape(tensor: Tensor, workload: Workload) -> tuple[int, ...]:
    """The shape in which an input reaches a kernel: an absent one is a single element."""
    is_absent = tensor.name in workload.absent
    return (1,) * len(tensor.shape) if is_absent else shape_of(tensor, workload)


def match_of(tensor: Tensor, workload: Workload) -> Match:
    """How an output is compared in a workload; where `T` is an integer, nothing is rounded."""
    is_whole = dtype_of(tensor, workload) not in FLOAT_DTYPES
    is_given = tensor.dtype in DTYPE_BYTES
    if is_whole and not is_given and isinstance(tensor.compared, Close):
        return Exact()
    return tensor.compared


def reduction_length(tensor: Tensor, workload: Workload) -> int:
    """Terms summed into one element of an output, at least 1."""
    match match_of(tensor, workload):
        case Close(reduction=terms) | Ties(reduction=terms) | Set(reduction=terms):
            return max(1, evaluate(terms, workload.axes))
        case _:
            return 1


def oracle_dtype(dtype: str) -> np.dtype[Any]:
    """The NumPy dtype in which an oracle takes and gives a tensor of an MLX dtype."""
    return np.dtype(np.float64 if dtype in FLOAT_DTYPES else dtype.rstrip("_"))


def param_dtype(value: Scalar) -> str:
    """MLX dtype name in which a parameter reaches a kernel as a 0-d input."""
    if isinstance(value, bool):
        return "bool_"
    return "int32" if isinstance(value, int) else "float32"


def param_value(workload: Workload, name: str) -> float:
    """A parameter as a kernel receives it: rounded to the dtype of `param_dtype`."""
    value = workload.params[name]
    return float(np.float32(value)) if param_dtype(value) == "float32" else float(value)


def _exactly(value: Scalar | str) -> str:
    # Nine digits tell any two float32 apart; integers keep every digit.
    return f"{value:.9g}" if isinstance(value, float) else str(value)
