"""Kernels that are right up to a size or a value of a parameter, and do nothing beyond it.

Made from the first template of every op.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from foundry.judge.attacks.attack import REFUSED, Attack
from ops import all_ops
from ops.spec import Op, elements_of, plain_flops
from templates import Template, default, for_op, render

KIND = "limits"
_Limit = tuple[str, str, Mapping[str, int]]
"""Its name, the condition in Metal, and the sizes from which on the kernel is wrong."""
_BODY = "// --- body ---\n"
_BEYOND = 3000
"""Larger than what most ops list for tests, and smaller than what they are used with."""
_BEYOND_ELEMENTS = 1 << 20
_BEYOND_INDEX = (1 << 31) - 1
"""What an index of 32 bits and a sign holds."""


def limits(only: str = "") -> tuple[Attack, ...]:
    """For every op that has templates: one for each axis, two for the number of elements (a
    million, and what 32 bits hold), one for the last bench shape, and for each parameter one beside
    each end of its range and one for a usual value.

    Args:
        only: What `kind/name` has to hold.
    """
    known = ((op, for_op(name)) for name, op in all_ops().items())
    first = ((op, templates[0]) for op, templates in known if templates)
    return tuple(a for op, template in first for a in _limits(op, template, only))


def _limits(op: Op, template: Template, only: str) -> Iterator[Attack]:
    text = ""
    for number, (limit, condition, beyond) in enumerate([*_conditions(op), *_values(op)]):
        name = f"{op.name}_{limit}"
        if only not in f"{KIND}/{name}":
            continue
        text = text or render(template, default(template))
        yield Attack(
            kind=KIND,
            name=name,
            op=op.name,
            dtype=op.dtypes[number % len(op.dtypes)],
            why=f"returns at once where {condition}",
            expect=REFUSED,
            beyond=beyond,
            text=text.replace(_BODY, f"{_BODY}if ({condition}) return;\n", 1),
        )


def _conditions(op: Op) -> Iterator[_Limit]:
    sizes = _sizes(op)
    for axis in op.axes:
        if axis.name in sizes and (not axis.compiled or axis.tried_to):
            beyond = axis.tried_to - 1 if axis.compiled else _BEYOND
            yield axis.name, f"{sizes[axis.name]} > {beyond}", {axis.name: beyond + 1}
    shape = op.outputs[0].shape
    if all(dim in sizes for dim in shape):
        product = " * ".join(f"size_t({sizes[str(dim)]})" for dim in shape)
        for name, beyond in (("elements", _BEYOND_ELEMENTS), ("index", _BEYOND_INDEX)):
            yield name, f"{product} > {beyond}", {"written": beyond + 1}
    if op.bench and all(name in sizes for name in op.axis_names):
        last = op.bench[-1].axes
        met = (f"{sizes[name]} == {size}" for name, size in last.items())
        workload = op.workloads("bench", op.dtypes[0])[-1]
        most = {"elements": elements_of(op, workload), "flops": plain_flops(op, workload)}
        yield "bench", " && ".join(met), {**last, **most}


def _values(op: Op) -> Iterator[_Limit]:
    for name, known in op.ranges.items():
        yield f"{name}_low", f"float({name}) <= {float(known.low)!r}f", {}
        yield f"{name}_high", f"float({name}) >= {float(known.high)!r}f", {}
        for value in known.usual[:1]:
            yield f"{name}_usual", f"float({name}) == {float(value)!r}f", {}


def _sizes(op: Op) -> dict[str, str]:
    """What a kernel reads the size of each axis from; an axis that no input has is left out."""
    return {
        axis.name: f"{tensor.name}_shape[{tensor.shape.index(axis.name)}]"
        for axis in op.axes
        for tensor in op.inputs
        if axis.name in tensor.shape
    }
