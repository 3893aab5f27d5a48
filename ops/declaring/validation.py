"""Holds a declared `Op` to the rules, so that a slip is met where it was written.

Names and expressions, the models, the case sets. Whether the oracle is right is another question:
`foundry.testing.op_contract` answers it.
"""

from __future__ import annotations

import keyword
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import get_args

from ops.baselines import RESERVED, Baseline
from ops.declaring.fields import mistyped
from ops.dtypes import DTYPE_BYTES, FLOAT_DTYPES
from ops.errors import UsageError
from ops.fills import Fill
from ops.matches import Close, Distribution, Exact, Set, Ties
from ops.spec import Nonfinite, Op, bytes_moved, flops
from ops.texts.expressions import ExpressionError, names_in
from ops.workload import ELEMENT, Case, Tensor, shape_of

# Words of C++ and of the Metal Shading Language that a body cannot use as a variable.
_METAL_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
    alignas alignof auto bfloat bool break case catch char class const constant constexpr continue
    decltype default delete device do double else enum explicit extern false float for fragment
    friend goto half if inline int int16_t int32_t int64_t int8_t kernel long mesh metal mutable
    namespace new noexcept nullptr operator private protected public register return short signed
    simd_size sizeof static static_assert static_cast struct switch template this thread threadgroup
    throw true try typedef typename uint uint16_t uint32_t uint64_t uint8_t union unsigned using
    vertex virtual void volatile while T
    and and_eq bitand bitor compl not not_eq or or_eq xor xor_eq char8_t char16_t char32_t concept
    const_cast consteval constinit dynamic_cast export reinterpret_cast requires thread_local typeid
    uchar ushort ulong size_t ptrdiff_t sampler ray_data object_data
    threadgroup_imageblock mem_flags memory_order_relaxed
    INFINITY NAN NULL HUGE_VALF HUGE_VALH MAXFLOAT MAXHALF FLT_MAX FLT_MIN FLT_EPSILON HALF_MAX
    INT_MAX INT_MIN UINT_MAX
    """,
    )
)
_METAL_TYPE = re.compile(
    r"(packed_)?(float|half|bfloat|bool|u?(char|short|int|long))[234](x[234])?|M_\w+_[FH]"
)
# What a body reads without declaring it; MLX makes a parameter of each name that it finds in one.
_ATTRIBUTES = frozenset(
    re.findall(
        r"\w+",
        """
    dispatch_quadgroups_per_threadgroup dispatch_simdgroups_per_threadgroup
    dispatch_threads_per_threadgroup grid_origin grid_size quadgroup_index_in_threadgroup
    quadgroups_per_threadgroup simdgroup_index_in_threadgroup simdgroups_per_threadgroup
    thread_execution_width thread_index_in_quadgroup thread_index_in_simdgroup
    thread_index_in_threadgroup thread_position_in_grid thread_position_in_threadgroup
    threadgroup_position_in_grid threadgroups_per_grid threads_per_grid threads_per_simdgroup
    threads_per_threadgroup
    """,
    )
)
_ENGINE = re.compile(r"mf|mf_\w*|MF_\w*|mlx|metal_\w*")
_VARIABLE = re.compile(r"[A-Z][A-Za-z0-9]*")
_GENERATED = re.compile(r".*_(shape|strides|ndim)")


def check(op: Op) -> None:
    """Hold an op to the rules.

    Raises:
        UsageError: The first rule that is broken: what, which value, what is allowed.
    """
    for problem in problems(op):
        raise UsageError(f"op '{op.name}': {problem}")


def problems(op: Op) -> Iterator[str]:
    """Every broken rule, in words; later ones may follow from earlier ones."""
    if slips := list(mistyped(op)):
        yield from slips
        return
    yield from _names(op)
    yield from _axes(op)
    yield from _types(op)
    for tensor in (*op.inputs, *op.outputs):
        yield from _tensor(tensor, op, is_output=tensor in op.outputs)
    yield from _models(op)
    yield from _functions(op)
    yield from _case_sets(op)
    yield from _premise(op)


def _premise(op: Op) -> Iterator[str]:
    if op.premise is not None:
        try:
            op.premise()
        except UsageError as error:
            yield str(error)


def _names(op: Op) -> Iterator[str]:
    if not op.name.isidentifier() or op.name != op.name.lower():
        yield f"the name must be a lower-case identifier, got '{op.name}'"
    variables = [
        *(t.name for t in (*op.inputs, *op.outputs)),
        *op.params,
        *op.axis_names,
        *op.types,
        *(t.flag for t in op.inputs if t.optional),
    ]
    for name, count in Counter(variables).items():
        if count > 1:
            yield f"'{name}' names {count} things; axes, tensors, parameters, types share one space"
        if said := refused_name(name):
            yield said
    if not op.inputs or not op.outputs:
        yield "an op has at least one input and one output"


def refused_name(name: str) -> str:
    """Why an axis, a tensor or a parameter cannot be called so; empty when it can."""
    if not name.isascii() or not name.isidentifier() or keyword.iskeyword(name):
        return f"'{name}' is not an identifier"
    if name in RESERVED:
        return f"'{name}' is a word of baselines; choose another name"
    if name in _METAL_WORDS or _METAL_TYPE.fullmatch(name) or name == "itemsize":
        return f"'{name}' is a word of Metal or of the registry; choose another name"
    if name in _ATTRIBUTES:
        return f"'{name}' is where a thread stands, which every kernel is told; choose another"
    if _ENGINE.fullmatch(name) or "__" in name:
        return f"'{name}' is a name that engines use themselves; choose another name"
    if _GENERATED.fullmatch(name):
        return f"'{name}' ends as the names MLX generates for shapes and strides do"
    return ""


def _axes(op: Op) -> Iterator[str]:
    for axis in op.axes:
        if axis.multiple_of < 1 or axis.least < 0:
            yield f"axis '{axis.name}' has multiple_of {axis.multiple_of} and least {axis.least}"
        for size in axis.values:
            if said := axis.refusal(size):
                yield f"axis '{axis.name}' breaks its own rule: {said}"


def _types(op: Op) -> Iterator[str]:
    for name, dtypes in {ELEMENT: op.dtypes, **op.types}.items():
        where = "dtypes" if name == ELEMENT else f"type variable '{name}'"
        if not dtypes:
            yield f"{where} is empty"
        if not _VARIABLE.fullmatch(name):
            yield f"{where} is no capital letter with letters and digits after it"
        for dtype in dtypes:
            if dtype not in DTYPE_BYTES:
                yield f"{where}: dtype '{dtype}' is not one of {', '.join(DTYPE_BYTES)}"


def _dtypes(tensor: Tensor, op: Op) -> tuple[str, ...]:
    """Every dtype that a tensor may have."""
    return {ELEMENT: op.dtypes, **op.types}.get(tensor.dtype, (tensor.dtype,))


def _tensor(tensor: Tensor, op: Op, *, is_output: bool) -> Iterator[str]:
    for dimension in tensor.shape:
        yield from _expression(dimension, op.axis_names, f"shape of {tensor.name}")
    if tensor.dtype not in (ELEMENT, *op.types, *DTYPE_BYTES):
        known = ", ".join((ELEMENT, *op.types, *DTYPE_BYTES))
        yield f"{tensor.name} has dtype '{tensor.dtype}'; give one of {known}"
    elif tensor.fill is not None:
        yield from _fill(tensor, tensor.fill, op, is_output=is_output)
    if is_output and tensor.optional:
        yield f"{tensor.name} is an output; only inputs are optional"
    if tensor.continues:
        yield from _continued(tensor, op, is_output=is_output)
    if tensor.match is not None:
        yield from _match(tensor, op, is_output=is_output)


def _fill(tensor: Tensor, fill: Fill, op: Op, *, is_output: bool) -> Iterator[str]:
    if isinstance(fill, type) or not isinstance(fill, Fill):
        yield f"{tensor.name} has fill {fill!r}; give one of ops.fills, such as Index('rows')"
        return
    if is_output:
        yield f"{tensor.name} is an output; a fill says what an input holds"
    for dtype in _dtypes(tensor, op):
        if said := fill.unfit(dtype):
            yield f"{tensor.name} is {dtype}: {said}"
    for expression in fill.expressions():
        yield from _expression(expression, op.axis_names, f"fill of {tensor.name}")


def _continued(tensor: Tensor, op: Op, *, is_output: bool) -> Iterator[str]:
    begun = next((t for t in op.inputs if t.name == tensor.continues), None)
    if not is_output or begun is None:
        yield f"{tensor.name} continues '{tensor.continues}'; an output continues an input"
    elif (begun.shape, begun.dtype, begun.optional) != (tensor.shape, tensor.dtype, False):
        yield f"{tensor.name} continues {begun.name}, of another shape or dtype, or optional"
    if op.bytes is None:
        yield f"{tensor.name} continues an input: give bytes, which count what is touched"


def _match(tensor: Tensor, op: Op, *, is_output: bool) -> Iterator[str]:
    if not is_output:
        yield f"{tensor.name} is an input; a match says how an output is compared"
    is_whole = tensor.dtype in DTYPE_BYTES and tensor.dtype not in ("bool_", *FLOAT_DTYPES)
    match tensor.match:
        case Close() if tensor.dtype == "bool_":
            yield f"{tensor.name} is bool_: give match=Exact()"
        case Set() if not tensor.shape:
            yield f"{tensor.name} has no axis that match=Set() could compare without order"
        case Ties() | Distribution() if not is_whole:
            yield f"{tensor.name} is {tensor.dtype}; {tensor.match} is for integers such as uint32"
        case Ties(by=str()) as ties:
            yield from _tied(tensor, ties, op)
        case Close(reduction=terms) | Set(reduction=terms) | Ties(reduction=terms):
            yield from _expression(terms, op.axis_names, f"reduction of {tensor.name}")
        case Distribution(outcomes=count, source=source):
            yield from _expression(count, op.axis_names, f"outcomes of {tensor.name}")
            if source and source not in {t.name for t in op.inputs}:
                yield f"{tensor.name} is drawn from '{source}', which is no input"
        case Exact():
            pass
        case other:
            yield f"{tensor.name} has match {other!r}; give one of ops.matches, such as Exact()"


def _tied(tensor: Tensor, ties: Ties, op: Op) -> Iterator[str]:
    keys = next((t for t in op.inputs if t.name == ties.by), None)
    if keys is None:
        yield f"{tensor.name} has match {ties}; '{ties.by}' is no input"
    elif not -len(keys.shape) <= ties.axis < len(keys.shape):
        yield f"{tensor.name} has match {ties}; {keys.name} has {len(keys.shape)} axes"
    else:
        others = list(keys.shape)
        del others[ties.axis]
        without = list(tensor.shape)
        if len(tensor.shape) == len(keys.shape):
            del without[ties.axis]
        if without != others:
            yield f"{tensor.name} has match {ties}; away from that axis its shape is not {others}"


def _models(op: Op) -> Iterator[str]:
    yield from _expression(op.flops, op.size_names, "flops")
    if op.plain_flops is not None:
        yield from _expression(op.plain_flops, op.size_names, "plain_flops")
    if op.bytes is not None:
        yield from _expression(op.bytes, (*op.size_names, "itemsize"), "bytes")
    for constraint in op.constraints:
        yield from _expression(constraint, op.axis_names, "constraint")
    for name, value in op.params.items():
        if not isinstance(value, bool | int | float):
            yield f"parameter '{name}' is {value!r}; give a number or a boolean"
        elif isinstance(value, int) and abs(value) >= 2**31:
            yield f"parameter '{name}' is {value}; kernels take whole numbers below 2^31"
    for name, known in op.ranges.items():
        default = op.params.get(name)
        if default is None or isinstance(default, bool):
            yield f"ranges: '{name}' is no parameter that is a number"
        elif not known.low <= default <= known.high:
            yield f"parameter '{name}' is {default}, outside of its range"


def _expression(text: int | str, known: Iterable[str], where: str) -> Iterator[str]:
    try:
        unknown = names_in(text) - set(known)
    except ExpressionError as error:
        yield f"{where}: {error}"
        return
    for name in sorted(unknown):
        yield f"{where} uses '{name}', which is no axis; axes: {', '.join(known)}"


def _functions(op: Op) -> Iterator[str]:
    if not callable(op.oracle):
        yield "oracle is not a function"
    if op.steps is not None and not callable(op.steps):
        yield "steps is not a function"
    if not op.baselines:
        yield "baselines is empty; give at least one MLX expression a user would write today"
    for name in op.baselines:
        yield from _baseline(op, name)
    if op.nonfinite not in (known := get_args(Nonfinite)):
        yield f"nonfinite is {op.nonfinite!r}; give one of {', '.join(known)}"
    if not op.formula.strip():
        yield "formula is empty; it is what a proposer reads"


def _baseline(op: Op, name: str) -> Iterator[str]:
    if not isinstance(op.baselines[name], str | Baseline):
        what = "a function" if callable(op.baselines[name]) else repr(op.baselines[name])
        yield (
            f"baseline '{name}' is {what}; give MLX text over the op's names, "
            f'such as "mx.exp({op.inputs[0].name if op.inputs else "x"})"'
        )
        return
    numbers = (*op.params, *op.axis_names)
    known = (*(t.name for t in op.inputs), *numbers, "dtype", *op.types)
    for problem in op.baseline(name).problems(known, numbers):
        yield f"baseline '{name}': {problem}"


def _case_sets(op: Op) -> Iterator[str]:
    if not all((op.dtypes, *op.types.values())):
        return
    ids: dict[str, list[str]] = {}
    for kind, chosen in (("visible", op.visible), ("hidden", op.hidden), ("bench", op.bench)):
        if not chosen:
            yield f"there are no {kind} cases"
        ids[kind] = []
        for case in chosen:
            try:
                ids[kind].append(_identity(op, case))
            except (UsageError, ExpressionError, TypeError) as error:
                yield f"{kind} case {dict(case.axes)}: {error}"
        for name, count in Counter(ids[kind]).items():
            if count > 1:
                yield f"{kind} lists {name} {count} times"
    for name in sorted(set(ids["visible"]) & set(ids["hidden"])):
        yield f"{name} is both visible and hidden"


def _identity(op: Op, case: Case) -> str:
    """The workload's text form, once every expression over it has a value."""
    workload = op.workload(case, op.dtypes[0])
    for tensor in (*op.inputs, *op.outputs):
        if min(shape_of(tensor, workload), default=0) < 0:
            raise UsageError(f"shape of {tensor.name} is {shape_of(tensor, workload)}")
    if flops(op, workload) < 0 or bytes_moved(op, workload) < 0:
        raise UsageError("flops or bytes are negative")
    return workload.id
