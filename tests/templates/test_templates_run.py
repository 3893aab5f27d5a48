"""Templates against the oracle, on the cpu engine: points, workloads and dtypes that cover all."""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Iterator

import numpy as np
import pytest
from sampling import template_params, text_params

import ops
from foundry import kernel
from foundry.engines.cpu import CpuEngine
from foundry.harness.measuring.baseline import BaselineCall
from foundry.judge.oracle.expecting import expected
from foundry.judge.oracle.inputs import make_inputs
from foundry.judge.oracle.references import output_specs
from foundry.judge.proof.compare import compare
from foundry.program import Arrays, BuildFailure
from ops.spec import Op
from ops.workload import Workload
from templates import Template, all_templates, get, one_of_each_text, space
from templates.render import render

MOST_THREADS = 200_000  # a fibre each: more take seconds, and show nothing that fewer do not
DISTRIBUTIONS = ("normal", "offset", "ties", "sparse", "extreme")


@functools.cache
def engine() -> CpuEngine:
    return CpuEngine()


def run(template: Template, point: space.Point, workload: Workload, inputs: Arrays) -> Arrays:
    bound = kernel.bind(kernel.parse(render(template, point)), ops.get(template.op), workload)
    built = engine().build(bound)
    assert not isinstance(built, BuildFailure), built.log
    call = built.bind(inputs, poison=True)
    call()
    return call.outputs()


def fault(template: Template, point: space.Point, workload: Workload, distribution: str) -> str:
    op = ops.get(template.op)
    inputs = make_inputs(op, workload, distribution, seed=1)
    outputs = run(template, point, workload, inputs)
    baseline = BaselineCall(op, workload, next(iter(op.baselines)), inputs)
    baseline()
    wanted = expected(op, workload, inputs, baseline.outputs(), np.random.default_rng(1))
    for spec, want in zip(output_specs(op, workload), wanted, strict=True):
        if found := compare(spec, outputs[spec.name], want).fault:
            return f"{dict(point)} {workload.id} {distribution}: {found}"
    return ""


def threads(template: Template, point: space.Point, workload: Workload) -> int:
    bound = kernel.bind(kernel.parse(render(template, point)), ops.get(template.op), workload)
    return sum(math.prod(launch.grid) for launch in bound.launches)


def covering(template: Template) -> Iterator[tuple[space.Point, Workload]]:
    """Every value of every knob, every dtype, every test workload: each point its share of them."""
    op = ops.get(template.op)
    chosen = space.coverage(template, random.Random(template.name))
    for number, point in enumerate(chosen):
        dtype = op.dtypes[number % len(op.dtypes)]
        workloads = [*op.workloads("visible", dtype), *op.workloads("hidden", dtype)]
        for workload in workloads[number :: len(chosen)]:
            if threads(template, point, workload) <= MOST_THREADS:
                yield point, workload


@pytest.mark.parametrize("template", text_params(one_of_each_text()))
def test_covering_points_agree_with_the_oracle(template: Template) -> None:
    for number, (point, workload) in enumerate(covering(template)):
        distribution = DISTRIBUTIONS[number % len(DISTRIBUTIONS)]
        assert not fault(template, point, workload, distribution)


MEMBERS = [t for t in all_templates().values() if t not in one_of_each_text()]


@pytest.mark.parametrize("template", template_params(MEMBERS))
def test_every_member_of_a_family_agrees_with_the_oracle(template: Template) -> None:
    op, at = ops.get(template.op), MEMBERS.index(template)
    workloads = op.workloads("hidden", op.dtypes[at % len(op.dtypes)])
    distribution = DISTRIBUTIONS[at % len(DISTRIBUTIONS)]
    assert not fault(
        template, space.default(template), workloads[(at % 5 + 3) % len(workloads)], distribution
    )


def workload_of(op: Op, **axes: int) -> Workload:
    return op.workload(ops.Case(axes), "float32")


SOFTMAX = [t for t in all_templates().values() if t.op == "softmax"]
TOPK = [t for t in all_templates().values() if t.op == "topk"]


@pytest.mark.parametrize("template", SOFTMAX, ids=lambda t: t.name)
def test_masked_columns_get_no_weight(template: Template) -> None:
    workload = workload_of(ops.get("softmax"), rows=2, cols=5000)
    x = np.full((2, 5000), -np.inf, np.float32)
    x[0, 4321] = 3.0
    x[1, [7, 4999]] = -1e30
    for point in space.coverage(template, random.Random(0)):
        out = run(template, point, workload, {"x": x})["out"]
        want = np.zeros_like(x)
        want[0, 4321] = 1.0
        want[1, [7, 4999]] = 0.5
        np.testing.assert_array_equal(out, want, err_msg=str(point))


@pytest.mark.parametrize("template", TOPK, ids=lambda t: t.name)
def test_topk_orders_infinities_zeros_and_nan(template: Template) -> None:
    workload = workload_of(ops.get("topk"), rows=1, cols=9, k=9)
    x = np.array([[-np.inf, 0.0, np.nan, -0.0, np.inf, -1.0, np.nan, np.inf, 1e-40]], np.float32)
    for point in space.coverage(template, random.Random(0)):
        found = run(template, point, workload, {"x": x})
        assert found["indices"][0].tolist() == [4, 7, 8, 1, 3, 5, 0, 2, 6], point
        np.testing.assert_array_equal(
            found["values"].view(np.uint32), x[:, found["indices"][0]].view(np.uint32)
        )


WIDE = {
    "linear_attention_causal_chunked": {"batch": 1, "heads": 1, "seq": 3, "head_dim": 1000},
    "gated_delta_chunked": {"batch": 1, "heads": 1, "seq": 3, "key": 1000, "value": 5},
}


@pytest.mark.parametrize("name", WIDE)
def test_what_a_wide_head_holds_fits_into_a_threadgroup(name: str) -> None:
    template = get(name)
    workload = workload_of(ops.get(template.op), **WIDE[name])
    assert not fault(template, {"chunk": 16, "columns": 16, "threads": 64}, workload, "normal")


def test_the_two_stage_templates_cross_chunks() -> None:
    for name, axes in (
        ("softmax_two_stage", {"rows": 2, "cols": 9001}),
        ("cumsum_two_stage", {"rows": 2, "cols": 9001}),
    ):
        template = get(name)
        workload = workload_of(ops.get(template.op), **axes)
        assert not fault(template, {"chunk": 1024}, workload, "normal")
