"""What a call of `metal_kernel` says, and what its author says of it: his sizes and his reference.

Read from JSON, from an agent, or from a script that was watched. Shapes and sizes are expressions
over axes, so that the judge can try the kernel on sizes that its author did not think of.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from discover.first_mistake import first_mistake
from foundry.errors import UsageError
from ops.dtypes import DTYPE_BYTES, FLOAT_DTYPES
from ops.texts.expressions import Expression, ExpressionError, names_in
from ops.workload import ELEMENT

_SENTENCE_LIMIT = 300


def _several(value: Any) -> Any:
    return [value] if isinstance(value, Mapping) else value


def _three(value: Any) -> Any:
    """Up to three sizes as three; more are left, to be refused."""
    if not isinstance(value, list | tuple) or not value:
        return value
    return [*value, *(1 for _ in range(3 - len(value)))]


Sizes = dict[str, Annotated[int, Field(ge=0)]]
Triple = Annotated[tuple[Expression, Expression, Expression], BeforeValidator(_three)]


class Array(BaseModel):
    """An input or an output."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    shape: tuple[Expression, ...]
    """Expressions over the axes: `["rows", "cols"]`."""
    dtype: str = ELEMENT
    """An MLX dtype, or `T`: that of the call, and others that are tried."""
    below: Expression | None = None
    """Of an input of indices: each is from 0 to one less than this."""


class AdoptedCall(BaseModel):
    """One call of `metal_kernel`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z_][a-z0-9_]*$")
    """Of the op that it becomes."""
    source: str
    inputs: dict[str, Array | bool | int | float]
    """In order; a number is an input of no dimension, which becomes a parameter."""
    outputs: dict[str, Array]
    grid: Triple
    """In threads, as in the call."""
    threadgroup: Triple
    sizes: Annotated[tuple[Sizes, ...], BeforeValidator(_several), Field(min_length=1)]
    """Of every axis, in one call or in several."""
    reference: str
    """MLX that gives the same: an expression over the inputs, or lines that end in `return`."""
    header: str = ""
    template: dict[str, bool | int | str] = Field(default_factory=dict)
    """Integers, booleans, dtypes by name; an integer may be an expression over the axes."""
    dtype: str = ""
    """What `T` stands for; empty: the dtype of the first output."""
    init_value: float | None = None
    atomic_outputs: bool = False
    math_mode: str = "safe"
    fixed: tuple[str, ...] = ()
    """Axes whose sizes are never another: the source has them written into it."""
    multiples: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    """Axes whose sizes are multiples of a number."""
    reduction: Expression | None = None
    """Terms summed into one element of an output; left out: read off the reference."""
    flops: str | None = None
    """Of one call, at least; left out: one for each element of the first output."""

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes, in order."""
        return tuple(self.sizes[0])

    @property
    def arrays(self) -> dict[str, Array]:
        """Inputs that are arrays."""
        return {name: found for name, found in self.inputs.items() if isinstance(found, Array)}

    @property
    def numbers(self) -> dict[str, bool | int | float]:
        """Inputs that are numbers: parameters of the op."""
        return {name: found for name, found in self.inputs.items() if not isinstance(found, Array)}

    @property
    def element(self) -> str:
        """The dtype that `T` stands for."""
        first = next(iter(self.outputs.values())).dtype
        named = self.dtype or str(self.template.get(ELEMENT, "")) or first
        return "float32" if named == ELEMENT else named

    @property
    def dtypes(self) -> tuple[str, ...]:
        """Those that the kernel serves: what is written with `T` serves every float."""
        is_generic = ELEMENT in self.template and self.element in FLOAT_DTYPES
        others = [dtype for dtype in FLOAT_DTYPES if is_generic and dtype != self.element]
        return (self.element, *others)

    @property
    def types(self) -> dict[str, str]:
        """Dtypes in the template beside `T`."""
        return {n: str(v) for n, v in self.template.items() if v in DTYPE_BYTES and n != ELEMENT}

    @property
    def constants(self) -> dict[str, bool | int | str]:
        """Integers and booleans in the template."""
        return {n: v for n, v in self.template.items() if v not in DTYPE_BYTES}

    def dtype_of(self, array: Array) -> str:
        """As a tensor of the op names it."""
        return ELEMENT if array.dtype == self.element else array.dtype


def read_call(document: Mapping[str, Any]) -> AdoptedCall:
    """A call from JSON values.

    Raises:
        UsageError: The first thing that is wrong with it, in one sentence.
    """
    try:
        call = AdoptedCall.model_validate(document)
    except ValidationError as error:
        keys, words = first_mistake(AdoptedCall, error)
        raise UsageError(f"'{'.'.join(keys)}' of the call: {words}") from None
    try:
        problem = next(_problems(call), None)
    except ExpressionError as error:
        problem = f"a size of the call: {error}"
    if problem is not None:
        raise UsageError(problem[:_SENTENCE_LIMIT])
    return call


def _problems(call: AdoptedCall) -> Iterator[str]:
    if not call.outputs:
        yield "the call has no output; name at least one"
    if not call.axes:
        yield "the call has no axis; give sizes such as {'rows': 4096, 'cols': 1024}"
    for sizes in call.sizes:
        if tuple(sizes) != call.axes:
            yield f"the sizes {sizes} are not of the axes {', '.join(call.axes)}"
    for name in (*call.fixed, *call.multiples):
        if name not in call.axes:
            yield f"'{name}' is no axis; axes: {', '.join(call.axes)}"
    yield from _array_problems(call)
    real = [number for number in call.numbers.values() if isinstance(number, float)]
    if all(axis in call.fixed for axis in call.axes) and not real:
        yield "every size is fixed, so that nothing can be proven beyond it; leave one axis free"


def _array_problems(call: AdoptedCall) -> Iterator[str]:
    known = (ELEMENT, *call.types, *DTYPE_BYTES)
    for name, array in call.outputs.items():
        if array.below is not None:
            yield f"'{name}' is an output: 'below' says what an input of indices holds"
    for name, array in {**call.arrays, **call.outputs}.items():
        if array.dtype not in known:
            yield f"'{name}' has dtype '{array.dtype}'; dtypes: {', '.join(known)}"
        for size in (*array.shape, *([] if array.below is None else [array.below])):
            for unknown in sorted(names_in(size) - set(call.axes)):
                yield f"'{name}' has a size of '{unknown}', which is no axis of the sizes"
    if call.element not in DTYPE_BYTES:
        yield f"T stands for '{call.element}', which is no dtype of MLX"
    for name, number in call.numbers.items():
        if not math.isfinite(number):
            yield f"'{name}' is {number}; a parameter is a finite number"
