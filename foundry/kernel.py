"""The Kernel and its file: Metal source, launch rule, content hash.

1. `parse(text)` reads a kernel file into a `Kernel`; `render(kernel)` writes the canonical file,
   and `parse(render(k)) == k`.
2. `check(kernel, op)` holds names against the op's axes, tensors and parameters.
3. `bind(kernel, op, workload)` resolves every expression: a `Program` an engine can build.

The text format is parsed in `kernel_file.py`; this module owns the values and their meaning.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from foundry.errors import InvalidKernel
from foundry.program import Launch, Program, Size3, TensorSpec
from ops.dtypes import DTYPE_BYTES
from ops.empty import has_nothing_to_compute
from ops.expressions import Expression, ExpressionError, evaluate, names_in
from ops.spec import (
    ELEMENT,
    Op,
    Workload,
    dtype_of,
    flags,
    kernel_shape,
    param_dtype,
    resolved,
    shape_of,
)

Triple = tuple[Expression, Expression, Expression]
Constant = int | bool | str

MAX_THREADS_PER_THREADGROUP = 1024
MATH_MODES = ("safe", "relaxed", "fast")


@dataclass(frozen=True)
class Temporary:
    """An array that one stage writes and a later one reads."""

    name: str
    shape: tuple[Expression, ...]
    dtype: str = "float32"


@dataclass(frozen=True)
class Stage:
    """One launch: the body exactly as `mx.fast.metal_kernel` takes it, and its launch rule."""

    body: str
    grid: Triple
    """In threads, as in `mx.fast.metal_kernel`; expressions over axes and constants."""
    threadgroup: Triple
    constants: tuple[tuple[str, Constant], ...] = ()
    inputs: tuple[str, ...] | None = None
    """None (single stage only): every input of the op, then every parameter."""
    outputs: tuple[str, ...] | None = None
    math_mode: str = "safe"
    init_value: float | None = None
    atomic_outputs: bool = False
    lines: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)
    """Line of each key, and of `body`, in the file this stage was parsed from."""


@dataclass(frozen=True)
class Kernel:
    """Metal source + launch rule + template arguments for one op."""

    op: str
    stages: tuple[Stage, ...]
    header: str = ""
    """Helpers of all stages; becomes `header` of `mx.fast.metal_kernel`."""
    temporaries: tuple[Temporary, ...] = ()

    @property
    def hash(self) -> str:
        """Identity: SHA-256 of the canonical file, 64 hexadecimal digits."""
        return hashlib.sha256(render(self).encode()).hexdigest()


def parse(text: str) -> Kernel:
    """Read a kernel file.

    Raises:
        InvalidKernel: With the line and the reason.
    """
    from foundry.kernel_file import read

    return read(text)


def render(kernel: Kernel) -> str:
    """The canonical kernel file of a kernel."""
    from foundry.kernel_file import write

    return write(kernel)


def line_in_file(kernel: Kernel, stage: int, part: str, line: int) -> int | None:
    """Line of the kernel file, from a line of a stage's `header` or `source` as it is compiled."""
    if part == "header":
        start = kernel.stages[0].lines.get("header")
    else:
        start = kernel.stages[stage].lines.get("body")
    return None if start is None else start + line - 1


def check(kernel: Kernel, op: Op) -> None:
    """Hold a kernel against its op: names of axes, inputs, outputs, temporaries.

    Raises:
        InvalidKernel: The first name that does not exist, with the nearest that do.
    """
    temporaries = {t.name for t in kernel.temporaries}
    readable = {t.name for t in op.inputs} | set(op.params)
    results = {t.name for t in op.outputs}
    for name in temporaries & (readable | results):
        raise InvalidKernel(f"temporary '{name}' has the name of a tensor of {op.name}")
    written: set[str] = set()
    for stage in kernel.stages:
        _check_expressions(stage, op)
        for name in stage.inputs or ():
            _known(name, readable | written, "input", stage.lines.get("inputs", 1))
        for name in stage.outputs or results:
            line = stage.lines.get("outputs", 1)
            _known(name, results | temporaries, "output", line)
            if name in written:
                raise InvalidKernel(f"'{name}' is written by two stages", line)
            written.add(name)
    for name in sorted(results - written):
        raise InvalidKernel(f"no stage writes the output '{name}'")
    for temporary in kernel.temporaries:
        _check_dtype(temporary, kernel, op)
        for dimension in temporary.shape:
            _check_names(dimension, op.axis_names, kernel.stages[0].lines.get(temporary.name, 1))


def bind(kernel: Kernel, op: Op, workload: Workload) -> Program:
    """Resolve a kernel for one workload. Where every output is empty, its launches have no threads.

    Raises:
        InvalidKernel: A name that does not exist, a division by zero, a negative size, a
            threadgroup of 0 or over 1,024 threads, a constant beyond 32 bits.
    """
    check(kernel, op)
    inputs = tuple(
        TensorSpec(t.name, kernel_shape(t, workload), dtype_of(t, workload)) for t in op.inputs
    )
    scalars = tuple(TensorSpec(n, (), param_dtype(v)) for n, v in op.params.items())
    arrays = {
        t.name: TensorSpec(t.name, shape_of(t, workload), dtype_of(t, workload)) for t in op.outputs
    }
    for t in kernel.temporaries:
        dtype = resolved(t.dtype, workload)
        arrays[t.name] = TensorSpec(t.name, _sizes(t.shape, workload.axes, 1), dtype)
    names = tuple(spec.name for spec in (*inputs, *scalars))
    launches = tuple(
        _launch(kernel, index, op, workload, names, arrays) for index in range(len(kernel.stages))
    )
    return Program((*inputs, *scalars), tuple(t.name for t in op.outputs), launches)


def _launch(
    kernel: Kernel,
    index: int,
    op: Op,
    workload: Workload,
    inputs: tuple[str, ...],
    arrays: Mapping[str, TensorSpec],
) -> Launch:
    stage = kernel.stages[index]
    there = flags(op, workload)
    constants = _constants(stage, workload, there)
    names = {**workload.axes, **there, **{k: int(v) for k, v in constants}}
    if has_nothing_to_compute(op, workload):
        grid, threadgroup = (0, 0, 0), (1, 1, 1)
    else:
        grid = _size3(stage.grid, names, stage.lines.get("grid", 1))
        threadgroup = _size3(stage.threadgroup, names, stage.lines.get("threadgroup", 1))
        _check_threadgroup(threadgroup, stage)
    outputs = stage.outputs or tuple(t.name for t in op.outputs)
    suffix = f"_{index}" if len(kernel.stages) > 1 else ""
    return Launch(
        name=f"{op.name}{suffix}",
        inputs=inputs if stage.inputs is None else stage.inputs,
        outputs=tuple(arrays[name] for name in outputs),
        source=stage.body,
        # MLX puts nothing after it: a last line of `//` or `#define` would swallow the signature.
        header=f"{kernel.header}\n" if kernel.header else "",
        grid=grid,
        threadgroup=threadgroup,
        template=(
            (ELEMENT, workload.dtype),
            *workload.types.items(),
            *there.items(),
            *constants,
        ),
        init_value=stage.init_value,
        atomic_outputs=stage.atomic_outputs,
        math_mode=stage.math_mode,
    )


def _constants(
    stage: Stage, workload: Workload, there: Mapping[str, bool]
) -> tuple[tuple[str, int | bool], ...]:
    known: dict[str, int] = {**workload.axes, **there}
    resolved: list[tuple[str, int | bool]] = []
    for name, value in stage.constants:
        line = stage.lines.get(name, 1)
        number = value if isinstance(value, bool) else _evaluate(value, known, line)
        if not -(2**31) <= number < 2**31:
            raise InvalidKernel(f"constant '{name}' is {number}; it must fit 32 bits", line)
        known[name] = int(number)
        resolved.append((name, number))
    return tuple(resolved)


def _sizes(
    expressions: Iterable[Expression], names: Mapping[str, int], line: int
) -> tuple[int, ...]:
    sizes = tuple(_evaluate(e, names, line) for e in expressions)
    if any(not 0 <= size < 2**31 for size in sizes):
        raise InvalidKernel(f"sizes {list(sizes)} must lie between 0 and 2^31 - 1", line)
    return sizes


def _size3(expressions: Iterable[Expression], names: Mapping[str, int], line: int) -> Size3:
    x, y, z = _sizes(expressions, names, line)
    return (x, y, z)


def _evaluate(expression: Expression, names: Mapping[str, int], line: int) -> int:
    try:
        return evaluate(expression, names)
    except ExpressionError as error:
        raise InvalidKernel(str(error), line) from None


def _check_threadgroup(threadgroup: Size3, stage: Stage) -> None:
    x, y, z = threadgroup
    if not 1 <= x * y * z <= MAX_THREADS_PER_THREADGROUP:
        raise InvalidKernel(
            f"threadgroup {[x, y, z]} has {x * y * z} threads; 1 to 1,024 are possible",
            stage.lines.get("threadgroup", 1),
        )


def _check_expressions(stage: Stage, op: Op) -> None:
    known = [*op.axis_names, *(t.flag for t in op.inputs if t.optional)]
    for name, value in stage.constants:
        if not isinstance(value, bool):
            _check_names(value, known, stage.lines.get(name, 1))
        if name in known or name == ELEMENT or name in op.types:
            raise InvalidKernel(f"constant '{name}' is taken already", stage.lines.get(name, 1))
        known.append(name)
    for key, triple in (("grid", stage.grid), ("threadgroup", stage.threadgroup)):
        for expression in triple:
            _check_names(expression, known, stage.lines.get(key, 1))


def _check_names(expression: Expression, known: Iterable[str], line: int) -> None:
    try:
        names = names_in(expression)
    except ExpressionError as error:
        raise InvalidKernel(str(error), line) from None
    for name in sorted(names):
        _known(name, set(known), "axis or constant", line)


def _known(name: str, known: set[str], kind: str, line: int) -> None:
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=2, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(sorted(known))}"
    raise InvalidKernel(f"unknown {kind} '{name}': {hint}", line)


def _check_dtype(temporary: Temporary, kernel: Kernel, op: Op) -> None:
    line = kernel.stages[0].lines.get(temporary.name, 1)
    _known(temporary.dtype, {ELEMENT, *op.types, *DTYPE_BYTES}, "dtype", line)
