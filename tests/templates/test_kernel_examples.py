"""The kernel files of the documentation: stages and all, against the oracle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import ops
from foundry import kernel
from foundry.engines.cpu import CpuEngine
from foundry.harness.measuring.baseline import BaselineCall
from foundry.judge.oracle.expecting import expected
from foundry.judge.oracle.inputs import make_inputs
from foundry.judge.oracle.references import output_specs
from foundry.judge.proof.compare import compare
from foundry.program import BuildFailure

FILES = sorted((Path(__file__).parents[2] / "docs" / "kernels").glob("*.metal"))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_kernels_of_the_documentation_are_right(file: Path, dtype: str) -> None:
    parsed = kernel.parse(file.read_text())
    assert kernel.parse(kernel.render(parsed)) == parsed
    op = ops.get(parsed.op)
    for workload in (*op.workloads("visible", dtype), *op.workloads("hidden", dtype)):
        inputs = make_inputs(op, workload, "normal", seed=3)
        baseline = BaselineCall(op, workload, next(iter(op.baselines)), inputs)
        baseline()
        built = CpuEngine().build(kernel.bind(parsed, op, workload))
        assert not isinstance(built, BuildFailure), built.log
        call = built.bind(inputs, poison=True)
        call()
        wanted = expected(op, workload, inputs, baseline.outputs(), np.random.default_rng(3))
        for spec, want in zip(output_specs(op, workload), wanted, strict=True):
            assert compare(spec, call.outputs()[spec.name], want).fault is None, workload.id


def test_the_examples_prove_launches() -> None:
    launches = {f.stem: len(kernel.parse(f.read_text()).launches) for f in FILES}
    assert launches["softmax_two_stage"] == launches["attention_split_keys"] == 2
