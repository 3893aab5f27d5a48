"""Backward ops: what ties one to its forward op, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import ops
from ops import Tensor, axes, registry
from ops.declaring.gradients import check, problems
from ops.errors import UsageError

NORM = ops.get("rms_norm")
X, WEIGHT = NORM.inputs
BACKWARD = replace(
    NORM,
    name="rms_norm_vjp",
    gradient_of="rms_norm",
    inputs=(X, WEIGHT, Tensor("dout", ("rows", "cols"))),
    outputs=(Tensor("dx", ("rows", "cols")), Tensor("dweight", ("cols",))),
)
KNOWN = {"rms_norm": NORM}


def test_a_backward_op_that_fits_is_accepted() -> None:
    assert list(problems(BACKWARD, KNOWN)) == []
    saved = replace(BACKWARD, inputs=(*NORM.outputs, WEIGHT, BACKWARD.inputs[-1]))
    assert list(problems(saved, KNOWN)) == [], "it may read the output instead of the input"
    check({**KNOWN, "rms_norm_vjp": BACKWARD})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"gradient_of": "rms_nor"}, "'rms_nor', which is no op"),
        ({"inputs": (X, WEIGHT)}, "no input 'dout'"),
        (
            {"inputs": (*BACKWARD.inputs, Tensor("mask", ("rows",)))},
            "'mask' is unknown to rms_norm",
        ),
        ({"inputs": (X, WEIGHT, Tensor("dout", ("rows",)))}, r"'dout' is T\['rows'\]; out of rms"),
        ({"outputs": BACKWARD.outputs[:1]}, "no output 'dweight'"),
        ({"outputs": (*BACKWARD.outputs, Tensor("dz", ("rows",)))}, "output 'dz' is unknown"),
        ({"axes": axes("rows cols depth")}, "'depth' is no axis of rms_norm"),
        ({"params": {"eps": 1e-5, "beta": 1.0}}, "'beta' is no such parameter"),
        ({"params": {"eps": 1}}, "'eps' is no such parameter"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, Any], said: str) -> None:
    broken = replace(BACKWARD, **change)
    with pytest.raises(UsageError, match=said):
        check({**KNOWN, "rms_norm_vjp": broken})


def test_integer_inputs_have_no_gradient() -> None:
    index = Tensor("index", ("rows",), "int32")
    forward = replace(NORM, inputs=(*NORM.inputs, index))
    backward = replace(BACKWARD, inputs=(*BACKWARD.inputs, index))
    assert list(problems(backward, {"rms_norm": forward})) == []


def test_two_gradients_of_one_op_are_refused() -> None:
    second = replace(BACKWARD, name="other")
    with pytest.raises(UsageError, match="'other' and 'rms_norm_vjp' are both gradient_of"):
        check({**KNOWN, "rms_norm_vjp": BACKWARD, "other": second})


def test_a_file_with_a_gradient_that_does_not_fit_is_refused_when_it_is_loaded(
    tmp_path: Path,
) -> None:
    text = (Path(__file__).parents[2] / "judge" / "kernels" / "odd_ops.py").read_text()
    file = tmp_path / "bad.py"
    file.write_text(text.replace('gradient_of="gentle"', 'gradient_of="rms_norm"'))
    with pytest.raises(UsageError, match="op 'gentle_vjp': .*no output 'dweight'"):
        registry.load_file(file)
    assert registry.gradient_for("rms_norm") == ops.get("rms_norm_vjp")
