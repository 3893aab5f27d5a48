"""The noun of the registry: an `Op`, what it is made of, and what a workload of it costs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from numbers import Integral
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ops.axis import Axis
from ops.baselines import Baseline, Bound
from ops.dtypes import DTYPE_BYTES, FLOAT_DTYPES
from ops.errors import UsageError, unknown
from ops.parameters import Range, Scalar
from ops.texts.expressions import evaluate, holds, names_in
from ops.workload import Case, Tensor, Workload, dtype_of, fill_of, shape_of

Oracle = Callable[[Mapping[str, NDArray[Any]], Workload], tuple[NDArray[Any], ...]]
Stored = Callable[[NDArray[Any]], NDArray[Any]]
Steps = Callable[[Mapping[str, NDArray[Any]], Workload, Stored], tuple[NDArray[Any], ...]]
CaseSet = Literal["visible", "hidden", "bench"]
Nonfinite = Literal["undefined", "nan", "propagate"]
"""What an op says of inputs that hold NaN or infinities; see `Op.nonfinite`."""

_IN_WORDS = {float: "a number", int: "a whole number", bool: "True or False"}


@dataclass(frozen=True)
class Op:
    """A mathematical operation: what to compute, and how to know that it was computed."""

    name: str
    family: str
    formula: str
    """The mathematics, in words and symbols a proposer can read; states ties and conventions."""
    axes: tuple[Axis, ...]
    """As `ops.axis.axes` makes them."""
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    oracle: Oracle
    """float64 NumPy from the formula: `(inputs, workload) -> one array per output`. Float inputs
    arrive as float64, integer inputs as they are, absent ones not at all."""
    baselines: Mapping[str, Baseline | str]
    """MLX a user would write today, by name, as text; bare text is a `Baseline` not compiled. The
    first honours the formula to the letter, ties included, and is what a fallback runs; the others
    may do less, and set a bar for timing only."""
    flops: str
    """FLOPs of one call, at least: an expression over the axes and whole-number parameters (2 per
    multiply-add, 4 per transcendental)."""
    visible: tuple[Case, ...]
    hidden: tuple[Case, ...]
    bench: tuple[Case, ...]
    params: Mapping[str, Scalar] = field(default_factory=dict)
    """Parameter names and defaults. float -> float32, int -> int32, bool -> bool_ 0-d inputs."""
    ranges: Mapping[str, Range] = field(default_factory=dict)
    """Which values the numbers among the parameters take; kernels are tried over all of it. One
    without a range keeps the values of the cases."""
    dtypes: tuple[str, ...] = FLOAT_DTYPES
    """What `T` stands for."""
    types: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Further type variables, and what each stands for: `{"W": ("uint32", "uint8")}`."""
    constraints: tuple[str, ...] = ()
    """Conditions between axes, such as `k <= cols`; what holds for one axis alone is its `Axis`."""
    plain_flops: str | None = None
    """FLOPs of the formula done plainly, where kernels may skip most of it, as pairs under a mask;
    None: `flops`. The judge asks oracle and baselines for no more than they can do."""
    bytes: str | None = None
    """Compulsory traffic in bytes over axes, whole-number parameters and `itemsize`; None: every
    tensor once."""
    steps: Steps | None = None
    """The formula as kernels evaluate it, where that is less exact than the oracle: NumPy like the
    oracle, `(inputs, workload, stored) -> one array per output`. `stored(x)` marks what a kernel
    may round to `T` on the way. The error model runs it with the rounding errors of float32."""
    nonfinite: Nonfinite = "undefined"
    """What comes of NaN and infinities in inputs, wherever oracle and first baseline agree on it.
    `nan`: a NaN leaves the op as NaN. `propagate`: so does an infinity, as the formula has it.
    `undefined`: anything may come, as where kernels skip, select or compare."""
    metal: Mapping[str, Any] = field(default_factory=dict)
    """What makes it a member of its family, for templates to render: Metal expressions by name, as
    the function of the family lays them down. Empty: templates of its own alone. `form` names the
    family of templates where ops of several families share one."""
    premise: Callable[[], None] | None = None
    """What its declaration rests on, where that costs too much for every start: it raises
    `UsageError` if it does not hold. A user's op is held to it when it is loaded."""
    gradient_of: str = ""
    """Name of the op whose gradient this is. Its inputs are inputs and outputs of that op and, as
    `dout`, the gradient of its output `out`; its outputs are, as `dx`, those of its inputs."""
    asked: bool = False
    """Whether the bench cases are sizes that somebody asked for: none of them is left out."""

    @property
    def axis_names(self) -> tuple[str, ...]:
        """Names of the axes, in order."""
        return tuple(axis.name for axis in self.axes)

    @property
    def size_names(self) -> tuple[str, ...]:
        """Names that `flops` and `bytes` may use: axes, then whole-number parameters."""
        whole = (name for name, value in self.params.items() if type(value) is int)
        return (*self.axis_names, *whole)

    @property
    def conditions(self) -> tuple[str, ...]:
        """What holds for the sizes, as text to be read: rules of axes, then constraints."""
        return (*(c for axis in self.axes for c in axis.conditions), *self.constraints)

    @property
    def on_nonfinite(self) -> str:
        """What is stated of NaN and infinities, as a sentence for a proposer; empty: nothing."""
        return {
            "undefined": "",
            "nan": "A NaN in an input must reach every output element that depends on it.",
            "propagate": "NaN and infinities in inputs must come out as the formula gives them.",
        }[self.nonfinite]

    @property
    def optional(self) -> tuple[str, ...]:
        """Names of the inputs that may be absent."""
        return tuple(tensor.name for tensor in self.inputs if tensor.optional)

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
        """A baseline with the numbers of a workload set: takes the arrays that are given.

        Raises:
            UsageError: No such baseline, or this MLX lacks something it asks for.
        """
        nothing = dict.fromkeys(workload.absent)
        types = {"dtype": workload.dtype, **workload.types}
        values = {**workload.axes, **workload.params, **types, **nothing}
        given = tuple(tensor.name for tensor in present(self, workload))
        return self.baseline(name).bind(given, values)

    def workload(self, case: Case, dtype: str) -> Workload:
        """A case of this op as a workload, checked.

        A type variable that the case leaves out takes the first of its dtypes.

        Raises:
            UsageError: Unknown dtype, axis, parameter, type variable or optional input, a missing
                axis, a size that breaks the rule of its axis, a parameter of a sign that its range
                does not have, a constraint that does not hold, or sizes for which an input has no
                values.
        """
        if dtype not in self.dtypes:
            raise unknown("dtype", dtype, self.dtypes)
        self._check_names(case)
        axes = {axis.name: self._size(case, axis) for axis in self.axes}
        for condition in self.constraints:
            if not holds(condition, axes):
                sizes = (f"{n} is {axes[n]}" for n in self.axis_names if n in names_in(condition))
                raise UsageError(
                    f"{self.name}: {condition} does not hold where {' and '.join(sizes)}"
                )
        params = {name: self._value(case, name) for name in self.params}
        types = {name: self._type(case, name) for name in self.types}
        absent = tuple(name for name in self.optional if name in case.absent)
        workload = Workload(self.name, axes, dtype, params, case.label, types, absent)
        for tensor in present(self, workload):
            fill = fill_of(tensor, workload)
            if said := fill.refusal(shape_of(tensor, workload), axes):
                raise UsageError(f"{self.name}: {tensor.name} {said}")
        return workload

    def workloads(self, cases: CaseSet, dtype: str) -> tuple[Workload, ...]:
        """All visible, hidden or bench workloads in one dtype, with every choice of types."""
        chosen: tuple[Case, ...] = getattr(self, cases)
        return tuple(self.workload(c, dtype) for case in chosen for c in self._typed(case))

    def _typed(self, case: Case) -> Iterator[Case]:
        free = [name for name in self.types if name not in case.types]
        for dtypes in itertools.product(*(self.types[name] for name in free)):
            yield replace(case, types={**case.types, **dict(zip(free, dtypes, strict=True))})

    def _check_names(self, case: Case) -> None:
        for kind, given, known in (
            ("axis", case.axes, self.axis_names),
            ("parameter", case.params, tuple(self.params)),
            ("type variable", case.types, tuple(self.types)),
            ("optional input", case.absent, self.optional),
        ):
            for name in given:
                if name not in known:
                    raise unknown(f"{kind} of {self.name}", name, known)

    def _type(self, case: Case, name: str) -> str:
        dtype = case.types.get(name, self.types[name][0])
        if dtype not in self.types[name]:
            raise unknown(f"dtype of {name}", dtype, self.types[name])
        return dtype

    def _value(self, case: Case, name: str) -> Scalar:
        default = self.params[name]
        value = case.params.get(name, default)
        is_like = isinstance(value, bool) is isinstance(default, bool)
        if not isinstance(value, Scalar) or not is_like or type(default)(value) != value:
            kind = _IN_WORDS[type(default)]
            raise UsageError(f"{self.name}: parameter '{name}' is {value!r}; give {kind}")
        if isinstance(default, int) and abs(value) >= 2**31:
            raise UsageError(
                f"{self.name}: parameter '{name}' is {value}; kernels take whole numbers below 2^31"
            )
        if name in self.ranges and (said := self.ranges[name].refusal(value)):
            raise UsageError(f"{self.name}: {name} is {value}; {name} is {said}")
        return type(default)(value)

    def _size(self, case: Case, axis: Axis) -> int:
        if axis.name not in case.axes:
            named = ", ".join(self.axis_names)
            raise UsageError(f"{self.name}: axis '{axis.name}' has no size; give {named}")
        given = case.axes[axis.name]
        if not isinstance(given, Integral) or isinstance(given, bool):
            raise UsageError(f"{self.name}: {axis.name} is {given!r}; give a whole number")
        size = int(given)
        if said := axis.refusal(size):
            raise UsageError(f"{self.name}: {said}")
        return size


def unrounded(value: NDArray[Any]) -> NDArray[Any]:
    """`stored` for an oracle whose code also gives the steps: nothing is rounded."""
    return value


def present(op: Op, workload: Workload) -> tuple[Tensor, ...]:
    """The inputs that a workload gives."""
    return tuple(tensor for tensor in op.inputs if tensor.name not in workload.absent)


def flags(op: Op, workload: Workload) -> dict[str, bool]:
    """Whether each optional input is there, under the name that kernels know it by."""
    return {t.flag: t.name not in workload.absent for t in op.inputs if t.optional}


def widen(
    op: Op, workload: Workload, inputs: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """The op's input arrays as its oracle takes them: floats in float64, integers as they are."""
    found = {t.name: inputs[t.name] for t in present(op, workload)}
    return {
        n: a.astype(np.float64) if a.dtype.name in FLOAT_DTYPES else a for n, a in found.items()
    }


def bytes_moved(op: Op, workload: Workload) -> int:
    """Compulsory memory traffic of one call in bytes: the op's own model, or each tensor once."""
    itemsize = DTYPE_BYTES[workload.dtype]
    if op.bytes is not None:
        return evaluate(op.bytes, {**_sizes(op, workload), "itemsize": itemsize})
    return sum(
        math.prod(shape_of(t, workload)) * DTYPE_BYTES[dtype_of(t, workload)]
        for t in (*present(op, workload), *op.outputs)
    )


def elements_of(op: Op, workload: Workload) -> int:
    """Elements of all tensors of a workload."""
    return sum(math.prod(shape_of(t, workload)) for t in (*op.inputs, *op.outputs))


def flops(op: Op, workload: Workload) -> int:
    """FLOPs of one call."""
    return evaluate(op.flops, _sizes(op, workload))


def plain_flops(op: Op, workload: Workload) -> int:
    """FLOPs of one call where nothing is skipped."""
    return evaluate(op.plain_flops or op.flops, _sizes(op, workload))


def _sizes(op: Op, workload: Workload) -> dict[str, int]:
    known = {**workload.axes, **workload.params}
    return {name: int(known[name]) for name in op.size_names}


def dtypes_of(ops: tuple[Op, ...]) -> Iterator[str]:
    """Dtypes that any of the ops supports, each once, in the order met."""
    yield from dict.fromkeys(d for op in ops for d in op.dtypes)
