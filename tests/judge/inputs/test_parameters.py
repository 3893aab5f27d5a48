"""Parameters are tried over the range that an op states, its ends included."""

from __future__ import annotations

import random

import pytest

from foundry.judge.oracle.workloads.parameters import parameter_workloads
from ops import Range, all_ops, get
from ops.errors import UsageError

NUMBERS = [
    (op.name, name)
    for op in all_ops().values()
    for name, default in op.params.items()
    if not isinstance(default, bool)
]


@pytest.mark.parametrize(("op", "name"), NUMBERS)
def test_every_parameter_that_is_a_number_has_a_range(op: str, name: str) -> None:
    assert name in get(op).ranges


@pytest.mark.parametrize(("op", "name"), NUMBERS)
def test_ends_and_usual_values_are_always_tried(op: str, name: str) -> None:
    known = get(op).ranges[name]
    for seed in range(10):
        tried = [w.params[name] for w in parameter_workloads(get(op), "float16", seed)]
        assert {known.low, known.high, *known.usual} <= set(tried)
        assert all(known.low <= value <= known.high for value in tried)


def test_an_op_without_parameters_has_no_such_workload() -> None:
    assert parameter_workloads(get("softmax"), "float32", 1) == ()


def test_a_range_gives_values_of_the_type_of_the_default() -> None:
    rng = random.Random(1)
    assert {type(v) for v in Range(-5, 100, usual=(3,)).values(0, rng)} == {int}
    assert {type(v) for v in Range(0.5, 100.0).values(1.0, rng)} == {float}


@pytest.mark.parametrize(("low", "high", "usual"), [(2.0, 1.0, ()), (0.0, 1.0, (1.5,))])
def test_a_range_refuses_values_outside(low: float, high: float, usual: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match="outside of the range|low no more than high"):
        Range(low, high, usual)
