"""The kernels that were written anew after published ones compute what their op asks for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from foundry.chips.fitting.published_ops import published_op
from foundry.chips.fitting.rows import PUBLISHED, Row, program_of, read_rows
from foundry.judge.oracle.inputs import make_inputs
from foundry.msl.run.builder import default_builder
from foundry.msl.run.program import BuiltProgram, build
from ops.workload import Case

SMALL = {
    "fft": "batch=2 n=16384",
    "matmul": "m=256 n=256 k=256",
    "matmul_nn": "m=256 n=256 k=256",
    "qmm_4bit": "m=1 n=1024 k=128 group=64",
}
"""Sizes that every kernel of an op takes."""
FEW_ROWS = {"gemv_wide": "m=2 n=256 k=256"}


def each_once() -> list[Row]:
    """A row of each kernel, the first of its constants, over small sizes."""
    found: dict[tuple[str, str], Row] = {}
    for row in read_rows(PUBLISHED):
        axes = FEW_ROWS.get(row.kernel, SMALL[row.op])
        found.setdefault((row.op, row.kernel), replace(row, axes=axes, dtype="float32"))
    return list(found.values())


@pytest.mark.slow
@pytest.mark.parametrize("row", each_once(), ids=lambda row: f"{row.op}-{row.kernel}")
def test_a_kernel_written_anew_is_right(row: Row) -> None:
    op = published_op(row.op)
    axes = {name: int(size) for name, size in (word.split("=") for word in row.axes.split())}
    workload = op.workload(Case(axes), "float32")
    inputs = make_inputs(op, workload, "normal", 1)
    built = build(program_of(row, PUBLISHED.parent), default_builder())
    assert isinstance(built, BuiltProgram), built.log
    bound = built.bind(inputs, poison=True)
    bound()
    exact = {n: a.astype(np.float64) if a.dtype.kind == "f" else a for n, a in inputs.items()}
    (expected,) = op.oracle(exact, workload)
    found = bound.outputs()["out"]
    np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())
