"""The form of what an oracle gives: it may come from a user's file, and is held to the op."""

from __future__ import annotations

import numpy as np

from ops.dtypes import FLOAT_DTYPES
from ops.matches import Close, Distribution
from ops.spec import Op
from ops.texts.expressions import evaluate
from ops.workload import Tensor, Workload, dtype_of, match_of, shape_of

_REAL = "biuf"
"""Kinds of NumPy: booleans, integers, unsigned ones, floats."""


def form_of(tensor: Tensor, workload: Workload) -> tuple[tuple[int, ...], str]:
    """Shape and dtype that the oracle must give an output."""
    shape, dtype = shape_of(tensor, workload), dtype_of(tensor, workload)
    match match_of(tensor, workload):
        case Distribution(outcomes=count):
            return (*shape, evaluate(count, workload.axes)), "float64"
        case Close():  # of integers, too: the value before it is rounded
            return shape, "float64"
    return shape, "float64" if dtype in FLOAT_DTYPES else dtype.rstrip("_")


def check_form(op: Op, workload: Workload, outputs: object) -> None:
    """Hold an oracle's outputs to the op: as many, of real numbers, in their shapes.

    Raises:
        ValueError: They are not; says which.
    """
    if not isinstance(outputs, tuple | list) or len(outputs) != len(op.outputs):
        raise ValueError(f"it must give a tuple of {len(op.outputs)} arrays, one for each output")
    for tensor, value in zip(op.outputs, map(np.asanyarray, outputs), strict=True):
        shape, _ = form_of(tensor, workload)
        if value.shape != shape or value.dtype.kind not in _REAL:
            raise ValueError(
                f"it gives '{tensor.name}' as {value.dtype}{list(value.shape)}; it must be real"
                f" numbers of the shape {list(shape)}"
            )
