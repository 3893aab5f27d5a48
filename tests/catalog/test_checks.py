"""What a wheel is checked against holds for the functions that it falls back to."""

from __future__ import annotations

import numpy as np
import pytest

import ops
from foundry.catalog import checks
from foundry.catalog.checks import _baseline, _gives, _held
from ops import registry
from ops.empty import is_over_nothing, over_nothing


@pytest.mark.parametrize("name", ["geglu", "attention", "add_rms_norm_vjp"])
def test_inputs_are_such_that_mlx_itself_is_right(name: str) -> None:
    op: ops.Op = registry.get(name)
    for workload in checks._workloads(op, "float16"):
        held = _held(op, workload, ("extreme", "sparse", "normal"))
        given = _baseline(op, workload, held.inputs)
        for tensor, want in zip(op.outputs, held.wanted, strict=True):
            assert _gives(given[tensor.name], want)


def test_a_wheel_holds_inputs_results_and_bounds() -> None:
    found = checks.checks_of(registry.get("geglu"))
    kinds = {name.split("/")[2] for name in found.arrays}
    assert kinds == {"in", "want", "bound"}
    assert all(np.isfinite(a).all() for n, a in found.arrays.items() if "/want/" in n)
    assert len(found.records) >= 3


def test_a_table_is_checked_in_every_dtype_of_its_op() -> None:
    """No input shows the dtype: a check names it, or float16 would be held to float32's bounds."""
    op = registry.get("sinusoidal")
    records = checks.checks_of(op).records
    assert {record["types"]["T"] for record in records} == set(op.dtypes)
    assert all(record["types"] == {} for record in checks.checks_of(registry.get("relu")).records)


@pytest.mark.parametrize("name", sorted(registry.all_ops()))
def test_a_wheel_names_no_hidden_size_and_checks_every_dtype(name: str) -> None:
    op = registry.get(name)
    hidden = [dict(case.axes) for case in op.hidden]
    for dtype in op.dtypes:
        shipped = checks._workloads(op, dtype)
        assert not [w for w in shipped if dict(w.axes) in hidden]
        assert any(checks._fits(op, w) for w in shipped), "a kernel that nothing checks is off"


def test_a_check_over_nothing_is_made_of_a_visible_size() -> None:
    op = registry.get("matmul")
    (empty,) = [w for w in checks._workloads(op, "float32") if 0 in w.axes.values()]
    assert is_over_nothing(op, empty)


@pytest.mark.parametrize("name", ["gather_qmm_swiglu", "row_sum"])
def test_nothing_is_asked_of_empty_inputs_where_an_op_does_not_say_what_they_give(
    name: str,
) -> None:
    op = registry.get(name)
    asked = [w for w in checks._workloads(op, "float32") if is_over_nothing(op, w)]
    assert bool(asked) is (over_nothing(op) is not None)
