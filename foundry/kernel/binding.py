"""A kernel held against its op, and resolved for one workload.

1. `check(kernel, op)` holds names against the op's axes, tensors and parameters.
2. `bind(kernel, op, workload)` resolves every expression: a `Program` an engine can build.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from foundry.errors import InvalidKernel
from foundry.kernel.model import MAX_THREADS_PER_THREADGROUP, Kernel, KernelLaunch, Temporary
from foundry.program import Launch, Program, Size3, TensorSpec
from ops.dtypes import DTYPE_BYTES
from ops.empty import has_nothing_to_compute
from ops.spec import Op, flags
from ops.texts.expressions import Expression, ExpressionError, evaluate, names_in
from ops.workload import ELEMENT, Workload, dtype_of, kernel_shape, param_dtype, resolved, shape_of


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
    for launch in kernel.launches:
        _check_expressions(launch, op)
        for name in launch.inputs or ():
            _known(name, readable | written, "input", launch.lines.get("inputs", 1))
        for name in launch.outputs or results:
            line = launch.lines.get("outputs", 1)
            _known(name, results | temporaries, "output", line)
            if name in written:
                raise InvalidKernel(f"'{name}' is written by two launches", line)
            written.add(name)
    for name in sorted(results - written):
        raise InvalidKernel(f"no launch writes the output '{name}'")
    for temporary in kernel.temporaries:
        _check_dtype(temporary, kernel, op)
        _check_shape(temporary, kernel, op)


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
        _launch(kernel, index, op, workload, names, arrays) for index in range(len(kernel.launches))
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
    launch = kernel.launches[index]
    there = flags(op, workload)
    constants = _constants(launch, workload, there)
    names = {**workload.axes, **there, **{k: int(v) for k, v in constants}}
    if has_nothing_to_compute(op, workload):
        grid, threadgroup = (0, 0, 0), (1, 1, 1)
    else:
        grid = _size3(launch.grid, names, launch.lines.get("grid", 1))
        threadgroup = _size3(launch.threadgroup, names, launch.lines.get("threadgroup", 1))
        _check_threadgroup(threadgroup, launch)
    outputs = launch.outputs or tuple(t.name for t in op.outputs)
    suffix = f"_{index}" if len(kernel.launches) > 1 else ""
    return Launch(
        name=f"{op.name}{suffix}",
        inputs=inputs if launch.inputs is None else launch.inputs,
        outputs=tuple(arrays[name] for name in outputs),
        source=launch.body,
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
        init_value=launch.init_value,
        atomic_outputs=launch.atomic_outputs,
        math_mode=launch.math_mode,
    )


def _constants(
    launch: KernelLaunch, workload: Workload, there: Mapping[str, bool]
) -> tuple[tuple[str, int | bool], ...]:
    known: dict[str, int] = {**workload.axes, **there}
    resolved: list[tuple[str, int | bool]] = []
    for name, value in launch.constants:
        line = launch.lines.get(name, 1)
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


def _check_threadgroup(threadgroup: Size3, launch: KernelLaunch) -> None:
    x, y, z = threadgroup
    if not 1 <= x * y * z <= MAX_THREADS_PER_THREADGROUP:
        raise InvalidKernel(
            f"threadgroup {[x, y, z]} has {x * y * z} threads; 1 to 1,024 are possible",
            launch.lines.get("threadgroup", 1),
        )


def _check_expressions(launch: KernelLaunch, op: Op) -> None:
    known = [*op.axis_names, *(t.flag for t in op.inputs if t.optional)]
    for name, value in launch.constants:
        if not isinstance(value, bool):
            _check_names(value, known, launch.lines.get(name, 1))
        if name in known or name == ELEMENT or name in op.types:
            raise InvalidKernel(f"constant '{name}' is taken already", launch.lines.get(name, 1))
        known.append(name)
    for key, triple in (("grid", launch.grid), ("threadgroup", launch.threadgroup)):
        for expression in triple:
            _check_names(expression, known, launch.lines.get(key, 1))


def _check_names(
    expression: Expression, known: Iterable[str], line: int, kind: str = "axis or constant"
) -> None:
    for name in sorted(_names_of(expression, line)):
        _known(name, set(known), kind, line)


def _names_of(expression: Expression, line: int) -> frozenset[str]:
    try:
        return names_in(expression)
    except ExpressionError as error:
        raise InvalidKernel(str(error), line) from None


def _known(name: str, known: set[str], kind: str, line: int) -> None:
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=2, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(sorted(known))}"
    raise InvalidKernel(f"unknown {kind} '{name}': {hint}", line)


def _check_shape(temporary: Temporary, kernel: Kernel, op: Op) -> None:
    line = kernel.launches[0].lines.get(temporary.name, 1)
    constants = {name: value for launch in kernel.launches for name, value in launch.constants}
    for dimension in temporary.shape:
        for name in sorted(_names_of(dimension, line) & set(constants)):
            raise InvalidKernel(
                f"'{name}' in the shape of '{temporary.name}' is a constant of a launch, and a "
                f"shape knows axes alone: write {constants[name]} in its place",
                line,
            )
        _check_names(dimension, op.axis_names, line, "axis")


def _check_dtype(temporary: Temporary, kernel: Kernel, op: Op) -> None:
    line = kernel.launches[0].lines.get(temporary.name, 1)
    _known(temporary.dtype, {ELEMENT, *op.types, *DTYPE_BYTES}, "dtype", line)
