"""Is an output right? Every element, exact shape and dtype; the rest as its match says."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from foundry.harness.frames import dtype_name
from foundry.judge.matching import Difference, Expected
from foundry.judge.matching.difference import wrong
from foundry.program import TensorSpec


def compare(spec: TensorSpec, got: NDArray[Any] | None, expected: Expected) -> Difference:
    """Hold one output against what it should be.

    Args:
        spec: The shape and dtype that the output must have.
        got: What the kernel left there; None if the output is missing.
        expected: What it should hold.
    """
    if got is None:
        return wrong("it is missing")
    if tuple(got.shape) != spec.shape:
        return wrong(f"its shape is {list(got.shape)}, not {list(spec.shape)}")
    if dtype_name(got) != spec.dtype:
        return wrong(f"its dtype is {dtype_name(got)}, not {spec.dtype}")
    return expected.compare(got) if got.size else Difference()
