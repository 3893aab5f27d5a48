"""Workloads from their ids."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ops import registry
from ops.declaring.cases import at_shapes
from ops.errors import UsageError
from ops.spec import Op
from ops.workload_names import workload_of


def test_every_workload_is_read_back_from_its_id() -> None:
    for op in registry.all_ops().values():
        for kind in ("visible", "hidden", "bench"):
            for workload in op.workloads(kind, op.dtypes[-1]):  # type: ignore[arg-type]
                found = workload_of(op, workload.id, workload.label)
                assert found == replace(workload, params=found.params)
                assert found.params == pytest.approx(workload.params, rel=1e-8)


def test_sizes_that_no_case_has_are_read_as_well() -> None:
    op = at_shapes(registry.get("rms_norm"), [{"cols": 77, "rows": 3}])
    (workload,) = op.workloads("bench", "bfloat16")
    assert workload.label == "rows 3 cols 77"
    assert workload_of(registry.get("rms_norm"), workload.id, workload.label) == workload


@pytest.mark.parametrize(
    "name",
    [
        "w",
        "softmax",
        "silu[n=8]float32",
        "softmax[rows=8]float32",
        "softmax[rows=8,cols=]float32",
        "softmax[rows=8,cols]float32",
        "softmax[rows=8,cols=x]float32",
        "softmax[rows=-8,cols=8]float32",
        "softmax[rows=08,cols=8]float32",
        "softmax[rows=8,cols=8,banks=2]float32",
        "softmax[cols=8,rows=8]float32",
        "softmax[rows=8,cols=8]float31",
    ],
)
def test_what_is_no_workload_of_an_op_is_refused(name: str) -> None:
    op: Op = registry.get("softmax")
    with pytest.raises(UsageError):
        workload_of(op, name)
