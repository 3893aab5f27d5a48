"""Workloads from their names: what `Workload.id` writes, read back. Pure."""

from __future__ import annotations

import re

from ops.errors import UsageError
from ops.parameters import Scalar
from ops.spec import Op
from ops.workload import Case, Workload

_ID = re.compile(r"(?P<op>\w+)\[(?P<values>[^\[\]]*)\](?P<dtype>\w+)")


def workload_of(op: Op, name: str, label: str = "") -> Workload:
    """The workload of an id, whether it is one of the op's cases or not.

    Args:
        op: Its op.
        name: The id, such as `softmax[rows=8,cols=2048]float32`.
        label: Where the shape comes from.

    Raises:
        UsageError: No id, one of another op, or of sizes that the op does not have.
    """
    found = _ID.fullmatch(name)
    if found is None or found["op"] != op.name:
        raise UsageError(f"'{name}' is no workload of {op.name}; one is {op.name}[AXIS=SIZE,...]T")
    try:
        case = _case(op, found["values"], label)
    except ValueError:
        raise UsageError(f"'{name}' holds a value that cannot be read") from None
    workload = op.workload(case, found["dtype"])
    if workload.id != name:
        raise UsageError(f"'{name}' is no workload of {op.name} as it is today: {workload.id}")
    return workload


def _case(op: Op, values: str, label: str) -> Case:
    given = dict(pair.split("=", 1) for pair in values.split(",") if pair)
    return Case(
        {axis: int(given[axis]) for axis in op.axis_names if axis in given},
        {name: _scalar(value, given[name]) for name, value in op.params.items() if name in given},
        label,
        {name: given[name] for name in op.types if name in given},
        tuple(name for name in op.optional if given.get(name) == "absent"),
    )


def _scalar(default: Scalar, text: str) -> Scalar:
    return text == "True" if isinstance(default, bool) else type(default)(text)
