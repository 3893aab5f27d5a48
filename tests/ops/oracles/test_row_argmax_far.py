"""Places of `row_argmax` beyond those that a float can hold."""

from __future__ import annotations

import numpy as np
import pytest

import ops
from foundry import kernel
from foundry.engines.cpu import CpuEngine
from foundry.program import BuildFailure
from ops.workload import Case
from templates import Template, default, for_op
from templates.render import render


@pytest.mark.parametrize("template", for_op("row_argmax"), ids=lambda template: template.name)
def test_places_beyond_2_to_the_24_are_exact(template: Template) -> None:
    op = ops.get("row_argmax")
    cols = 2**24 + 5
    x = np.zeros((1, cols), np.float16)
    x[0, -2:] = 1.0
    workload = op.workload(Case({"rows": 1, "cols": cols}), "float16")
    bound = kernel.bind(kernel.parse(render(template, default(template))), op, workload)
    built = CpuEngine().build(bound)
    assert not isinstance(built, BuildFailure), built.log
    call = built.bind({"x": x}, poison=True)
    call()
    assert call.outputs()["out"].tolist() == [cols - 2]
