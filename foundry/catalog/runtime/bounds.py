"""Where a kernel was proven: the sizes and numbers on which it was run and was right."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .arguments import Record, Sizes, shape_of, value


def unproven(op: Record, kernel: Record, sizes: Sizes) -> str:
    """Why nothing is known of a kernel at these sizes and numbers; empty when it is proven."""
    proven = kernel["record"]["proven"]
    if proven is None:
        return "it is not on record where the kernel is right"
    for known, given in ((proven["axes"], sizes.axes), (proven["params"], sizes.params)):
        for name, (low, high) in known.items():
            if not _is_between(low, given[name], high):
                return f"{name}={given[name]} is outside of what was proven, {low} to {high}"
    for name, most in (("elements", _elements(op, sizes)), ("flops", _flops(op, sizes))):
        if most > proven[name]:
            return f"{most} {name} are more than what was proven, {proven[name]}"
    return ""


def _is_between(low: float, given: Any, high: float) -> bool:
    """An array is no number that is known before it is computed."""
    return isinstance(given, int | float) and low <= given <= high


def _elements(op: Record, sizes: Sizes) -> int:
    tensors = (*op["inputs"], *op["outputs"])
    return sum(math.prod(shape_of(tensor, sizes)) for tensor in tensors)


def _flops(op: Record, sizes: Sizes) -> int:
    names: Mapping[str, Any] = {**sizes.axes, **sizes.params}
    return value(op["flops"], names)
