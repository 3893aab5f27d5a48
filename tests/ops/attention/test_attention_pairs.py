"""How many pairs a mask is said to see, against how many it sees."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ops
from ops.declaring.members import asked
from ops.families.attention.masked import known_of
from ops.spec import Op, flops
from ops.workload import Case, Workload

MEMBERS = [
    op
    for op in ops.all_ops().values()
    if op.premise is not None and not op.metal["rows"] and "form" not in op.metal
]
"""Those whose pairs follow from sizes alone."""
LOOSE = {"attention_t5": 0.5, "attention_sliding_tiles_3d": 0.6, "attention_dilated_window": 0.98}
"""The share that is told of where a switch or a canvas that is only begun leaves some out."""


def seen(op: Op, workload: Workload) -> int:
    mask: Any = op.premise.args[0]  # type: ignore[union-attr]
    known = known_of((), {}, workload, 0)
    shape = (workload.axes["q_len"], workload.axes["kv_len"])
    return int(np.broadcast_to(mask.np(**asked(mask.np, known)), shape).sum())


def sized(op: Op, q_len: int, kv_len: int, **params: Any) -> Workload:
    axes = {"batch": 1, "heads": 1, "kv_heads": 1, "head_dim": 1}
    return op.workload(Case({**axes, "q_len": q_len, "kv_len": kv_len}, params), "float32")


def told(op: Op, workload: Workload) -> int:
    return flops(op, workload) // 4


@pytest.mark.parametrize("op", MEMBERS, ids=lambda op: op.name)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_never_more_pairs_are_told_of_than_there_are(op: Op, data: st.DataObject) -> None:
    kv_len = data.draw(st.integers(0, 60))
    is_early = "q_len <= kv_len" not in op.constraints
    q_len = data.draw(st.integers(0, 70 if is_early else kv_len))
    numbers = {n: r for n, r in op.ranges.items() if n != "scale"}
    values = {
        n: data.draw(st.integers(int(r.low), min(int(r.high), 40)))
        for n, r in numbers.items()
        if isinstance(op.params[n], int)
    }
    workload = sized(op, q_len, kv_len, **values)
    assert told(op, workload) <= seen(op, workload)


@pytest.mark.parametrize("op", MEMBERS, ids=lambda op: op.name)
def test_all_pairs_are_told_of_where_the_canvas_is_whole(op: Op) -> None:
    workload = sized(op, 512, 512)
    assert told(op, workload) >= LOOSE.get(op.name, 1.0) * seen(op, workload)


@pytest.mark.parametrize("op", MEMBERS, ids=lambda op: op.name)
def test_most_pairs_are_told_of_where_it_is_timed(op: Op) -> None:
    for workload in op.workloads("bench", "float16"):
        a = workload.axes
        pairs = told(op, workload) // (a["batch"] * a["heads"] * a["head_dim"])
        assert 0.6 * seen(op, workload) <= pairs <= seen(op, workload)


def test_a_canvas_of_morton_is_timed_with_keys_on_it_alone() -> None:
    op = ops.get("attention_neighbourhood_morton")
    for workload in op.workloads("bench", "float16"):
        assert workload.axes["kv_len"] <= int(workload.params["side"]) ** 2
