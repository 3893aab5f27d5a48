"""The mask of every member: blocks that its kernels skip hold no pair that it sees."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sampling import op_params

import ops
from foundry import kernel
from foundry.engines.cpu import CpuEngine
from foundry.judge.oracle.inputs import make_inputs
from foundry.program import BuildFailure
from ops.declaring.masking import Mask
from ops.declaring.members import asked
from ops.families.attention.block_masks import EMPTY, FULL, bounds_of, states_of
from ops.families.attention.masked import known_of
from ops.spec import Op, widen
from ops.workload import Case, Tensor, Workload
from templates import default, get, render

MEMBERS = [
    op
    for op in ops.all_ops().values()
    if op.metal.get("form", op.family) == "attention" and "mask" in op.metal
    if op.premise is not None
]
QUERIES, KEYS = 16, 32


def parts(op: Op) -> tuple[Mask, tuple[Tensor, ...]]:
    """The mask and the further inputs of a member, as its premise has them."""
    mask, _, further = op.premise.args  # type: ignore[union-attr]
    return mask, further


def workloads(op: Op) -> list[Workload]:
    axes = {"batch": 2, "heads": 2, "kv_heads": 1, "head_dim": 2}
    sizes = [(37, 131), (67, 67)] + ([] if "q_len <= kv_len" in op.constraints else [(70, 33)])
    values = [{n: r.usual[at % len(r.usual)] for n, r in op.ranges.items()} for at in range(3)]
    cases = [
        Case({**axes, "q_len": q, "kv_len": k}, v) for (q, k), v in zip(sizes, values, strict=False)
    ]
    return [op.workload(case, "float32") for case in cases]


def seen_pairs(op: Op, workload: Workload, inputs: Any) -> list[Any]:
    """The pairs of every batch that the NumPy of the mask sees."""
    mask, further = parts(op)
    found = []
    for batch in range(workload.axes["batch"]):
        known = known_of(further, widen(op, workload, inputs), workload, batch)
        shape = (workload.axes["q_len"], workload.axes["kv_len"])
        found.append(np.broadcast_to(mask.np(**asked(mask.np, known)), shape))
    return found


@pytest.mark.parametrize("op", MEMBERS, ids=lambda op: op.name)
def test_its_blocks_hold_every_pair_it_sees(op: Op) -> None:
    for workload in workloads(op):
        for seen in seen_pairs(op, workload, make_inputs(op, workload, "normal", 1)):
            states = states_of(seen, QUERIES, KEYS)
            first, until = bounds_of(states)
            wide = np.repeat(np.repeat(states, QUERIES, 0), KEYS, 1)[: len(seen), : seen.shape[1]]
            assert not seen[wide == EMPTY].any()
            assert seen[wide == FULL].all()
            column = np.arange(states.shape[1])
            outside = (column < first[:, None]) | (column >= until[:, None])
            assert (states[outside] == EMPTY).all()


def blocks_of(op: Op, workload: Workload, inputs: Any) -> Any:
    """What the first launch of the template of blocks writes."""
    template = get(f"{op.name}_masked_blocks")
    text = render(template, {**default(template), "queries": QUERIES, "block_keys": KEYS})
    text = text[: text.index("/*kernel", 9)].replace('outputs = ["blocks"]\n', "")
    text = re.sub(r"\[temporaries\.blocks\]\n.*\n.*\n", "", text)
    shape = (f"batch * ceildiv(q_len, {QUERIES})", f"ceildiv(kv_len, {KEYS})")
    alone = replace(op, outputs=(Tensor("blocks", shape, "uint32"),))
    built = CpuEngine().build(kernel.bind(kernel.parse(text), alone, workload))
    assert not isinstance(built, BuildFailure), built.log
    call = built.bind(inputs, poison=True)
    call()
    return call.outputs()["blocks"]


@pytest.mark.parametrize("op", op_params(MEMBERS))
def test_kernels_find_the_blocks_that_the_mask_has(op: Op) -> None:
    for workload in workloads(op)[::2]:
        inputs = make_inputs(op, workload, "normal", 1)
        wanted = [states_of(seen, QUERIES, KEYS) for seen in seen_pairs(op, workload, inputs)]
        assert_array_equal(blocks_of(op, workload, inputs), np.concatenate(wanted))
