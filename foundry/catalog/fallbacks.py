"""The baselines of a catalog, as plain functions of mlx alone.

The first one of an op is its fallback; the others are what kernels have to beat beside it. Texts
stand in the wheel as the op's author wrote them; only the line with `def` is made here.
"""

from __future__ import annotations

import contextlib
import math
import textwrap
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from foundry.errors import UsageError
from foundry.judge.oracle.inputs import make_inputs
from ops.arrays import to_mlx
from ops.baselines import Baseline, Bound
from ops.fills import Bits
from ops.spec import Op, present
from ops.texts.expressions import names_in
from ops.workload import ELEMENT, Tensor, Workload

_FALLBACKS = "What runs where no kernel serves: the MLX of each op as its author wrote it."
_OTHERS = "Other ways to write each op in MLX: the fastest one here is what a kernel has to beat."


def fallback_of(op: Op) -> tuple[str, Baseline]:
    """Name and text of the baseline that honours the formula to the letter: the first."""
    name = next(iter(op.baselines))
    return name, op.baseline(name)


def record(op: Op) -> dict[str, Any]:
    """What the wheel's run-time must know to call the fallback of an op."""
    folds = batch_axis(op) is not None and not takes_leading_dimensions(op)
    return _record(op, fallback_of(op)[0], op.name, folds=folds)


def other_records(op: Op) -> list[dict[str, Any]]:
    """The same for the other baselines of an op."""
    folds = batch_axis(op) is not None
    return [_record(op, name, function, folds=folds) for name, function in _others(op).items()]


def _record(op: Op, name: str, function: str, *, folds: bool) -> dict[str, Any]:
    baseline = op.baseline(name)
    return {
        "name": name,
        "function": function,
        "text": baseline.text.strip(),
        "numbers": list(_numbers(op, baseline)),
        "folds": folds,
    }


def module(ops: Iterable[Op]) -> str:
    """Source of the module of fallbacks: one function per op, under the op's name.

    Arrays are positional, in the op's order; the numbers the text uses are keywords.
    """
    return _module(_FALLBACKS, [_function(op, fallback_of(op)[1], op.name) for op in ops])


def others_module(ops: Iterable[Op]) -> str:
    """Source of the module of all other baselines, alike."""
    functions = [
        _function(op, op.baseline(name), function)
        for op in ops
        for name, function in _others(op).items()
    ]
    return _module(_OTHERS, functions)


def _others(op: Op) -> dict[str, str]:
    """Names of the baselines beside the first one, and of their functions."""
    names = list(op.baselines)[1:]
    return {name: f"{op.name}_{number}" for number, name in enumerate(names, 1)}


def _module(told: str, functions: list[str]) -> str:
    imports = [
        line
        for word, line in (("math.", "import math"), ("mx.", "import mlx.core as mx"))
        if any(word in function for function in functions)
    ]
    head = [f'"""{told}"""', "", "from __future__ import annotations", "", *imports]
    return "\n\n\n".join(["\n".join(head), *functions]) + "\n"


def batch_axis(op: Op) -> str | None:
    """The axis that may stand for any number of leading dimensions, None where none can.

    It leads the first input and every output, and is used nowhere else.
    """
    axis = op.inputs[0].shape[0] if op.inputs[0].shape else None
    if axis not in op.axis_names or not all(t.shape[:1] == (axis,) for t in op.outputs):
        return None
    others = [d for t in (*op.inputs, *op.outputs) for d in t.shape[1:]]
    return None if any(axis in names_in(d) for d in others) else str(axis)


def takes_leading_dimensions(op: Op) -> bool:
    """Whether the fallback is right on arrays with any number of leading dimensions as they are.

    Found by trying: then a call needs no reshaping, and can be compiled for any shape.
    """
    batch = batch_axis(op)
    name, baseline = fallback_of(op)
    # MLX reads wherever an index says; one that was folded wrongly would lead out of the array.
    if batch is None or baseline.uses((batch,)) or any(map(_holds_places, op.inputs)):
        return False
    workload = _workload_with(op, batch, math.prod(_LEADING[0]))
    if workload is None:
        return False
    inputs = make_inputs(op, workload, "normal", 1)
    given = present(op, workload)
    folded = [to_mlx(inputs[t.name]) for t in given]
    leads = [t.shape[:1] == (batch,) for t in given]
    run = op.bound_baseline(name, workload)
    return all(_same_with(run, folded, leads, shape) for shape in _LEADING)


def _holds_places(tensor: Tensor) -> bool:
    """Whether an input may hold indices: whole numbers that are no packed codes."""
    return "int" in tensor.dtype and not isinstance(tensor.fill, Bits)


_LEADING = ((2, 3), (3, 1, 2), ())


def _workload_with(op: Op, axis: str, size: int) -> Workload | None:
    """The largest visible case with that size of one axis, None where no case allows it."""
    for case in sorted(op.visible, key=lambda c: -math.prod(c.axes.values())):
        with contextlib.suppress(UsageError):
            return op.workload(replace(case, axes={**case.axes, axis: size}), op.dtypes[0])
    return None


def _same_with(run: Bound, folded: list[Any], leads: list[bool], shape: tuple[int, ...]) -> bool:
    import mlx.core as mx

    count = math.prod(shape)
    pairs = list(zip(folded, leads, strict=True))
    plain_form = [a[:count] if leading else a for a, leading in pairs]
    given = [a[:count].reshape((*shape, *a.shape[1:])) if leading else a for a, leading in pairs]
    try:
        results = list(zip(run(*plain_form), run(*given), strict=True))
        return all(
            wide.shape == (*shape, *plain.shape[1:])
            and mx.allclose(wide.reshape(plain.shape), plain, 1e-5, 1e-6).item()
            for plain, wide in results
        )
    except Exception:
        return False  # a text may do anything with shapes that it was not written for


def _numbers(op: Op, baseline: Baseline) -> tuple[str, ...]:
    """Names that the caller gives: parameters, axis sizes, and dtypes that no input shows."""
    shown = _shown_types(op)
    types = [name for name in ("dtype", *op.types) if name not in shown]
    return baseline.uses((*op.params, *op.axis_names, *types))


def _shown_types(op: Op) -> dict[str, str]:
    """For every type variable that an input has which is always given, the input."""
    shown: dict[str, str] = {}
    for tensor in op.inputs:
        if not tensor.optional and tensor.dtype in (ELEMENT, *op.types):
            shown.setdefault("dtype" if tensor.dtype == ELEMENT else tensor.dtype, tensor.name)
    return shown


def _function(op: Op, baseline: Baseline, name: str) -> str:
    numbers = _numbers(op, baseline)
    if not baseline.compiled:
        return _def(name, op, numbers, _body(op, baseline))
    inner = f"_{name}"
    given = [f"{n}=mx.array({n})" if n in baseline.traced else f"{n}={n}" for n in numbers]
    call = ", ".join([*(t.name for t in op.inputs), *given])
    return "\n\n\n".join(
        [
            "@mx.compile\n" + _def(inner, op, numbers, _body(op, baseline)),
            _def(name, op, numbers, f"return {inner}({call})"),
        ]
    )


def _body(op: Op, baseline: Baseline) -> str:
    shown = _shown_types(op)
    types = [f"{name} = {shown[name]}.dtype" for name in baseline.uses(shown)]
    return "\n".join([*types, baseline.body])


def _def(name: str, op: Op, numbers: tuple[str, ...], body: str) -> str:
    arguments = [*(t.name for t in op.inputs), *(["*", *numbers] if numbers else [])]
    return f"def {name}({', '.join(arguments)}):\n{textwrap.indent(body, '    ')}"
