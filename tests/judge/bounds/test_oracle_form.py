"""An oracle from a user's file is held to the op before anything is held to the oracle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from foundry.judge.oracle.expecting import expected
from foundry.judge.oracle.inputs import make_inputs
from foundry.judge.oracle.sampling import independent_axes
from ops import get

WRONG: dict[str, tuple[Callable[..., Any], str]] = {
    "no tuple": (lambda i, w: i["x"], "a tuple of 1 arrays"),
    "two outputs": (lambda i, w: (i["x"], i["x"]), "a tuple of 1 arrays"),
    "a number": (lambda i, w: (i["x"].sum(),), r"as float64\[\]; it must be real numbers"),
    "complex": (lambda i, w: (i["x"] + 0j,), "as complex128"),
}


@pytest.mark.parametrize("how", WRONG)
def test_what_an_oracle_gives_is_held_to_the_op(how: str) -> None:
    oracle, said = WRONG[how]
    op = replace(get("silu"), oracle=oracle, steps=None)
    workload = op.workloads("visible", "float32")[1]
    inputs = make_inputs(op, workload, "normal", 1)
    with pytest.raises(ValueError, match=said):
        expected(op, workload, inputs, {}, np.random.default_rng(1))
    assert independent_axes(op) == ()
