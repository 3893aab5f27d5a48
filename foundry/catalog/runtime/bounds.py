"""Where a kernel was proven: the sizes and numbers on which it was run and was right."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from .arguments import Record, Sizes, names_in, shape_of, value


def unproven(op: Record, kernel: Record, sizes: Sizes) -> str:
    """Why nothing is known of a kernel at these sizes and numbers; empty when it is proven."""
    return sizes_unproven(op, kernel, sizes) or numbers_unproven(kernel, sizes.params)


def numbers_unproven(kernel: Record, params: Mapping[str, Any]) -> str:
    """The same, of the values of parameters alone; the kernel has a record."""
    return _outside(kernel["record"]["proven"]["params"], params)


def deciding(op: Record) -> frozenset[str]:
    """Parameters whose values decide about sizes: the work that an op does depends on them."""
    return frozenset(names_in(op["flops"])) & frozenset(op["params"])


def sizes_unproven(op: Record, kernel: Record, sizes: Sizes) -> str:
    """The same, of sizes and of how much work they are."""
    proven = kernel["record"]["proven"]
    if proven is None:
        return "it is not on record where the kernel is right"
    if said := _outside(proven["axes"], sizes.axes):
        return said
    work = {"elements": elements_of(op, sizes), "flops": _flops(op, sizes)}
    if proven.get("written"):
        work["written"] = _count(op["outputs"], sizes)
    for name, most in work.items():
        if most > proven[name]:
            return f"{most} {name} are more than what was proven, {proven[name]}"
    return ""


def _outside(known: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    for name, (low, high) in known.items():
        if not _is_between(low, given[name], high):
            return f"{name}={given[name]} is outside of what was proven, {low} to {high}"
    return ""


def _is_between(low: float, given: Any, high: float) -> bool:
    """An array is no number that is known before it is computed."""
    return isinstance(given, int | float) and low <= given <= high


def elements_of(op: Record, sizes: Sizes) -> int:
    """Elements of all inputs and outputs together."""
    return _count((*op["inputs"], *op["outputs"]), sizes)


def _count(tensors: Iterable[Record], sizes: Sizes) -> int:
    return sum(math.prod(shape_of(tensor, sizes)) for tensor in tensors)


def _flops(op: Record, sizes: Sizes) -> int:
    names: Mapping[str, Any] = {**sizes.axes, **sizes.params}
    return value(op["flops"], names)
