"""Workloads: unique text form, checked sizes and parameters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ops
from ops import Case, Workload
from ops.declaring.cases import cases, labelled
from ops.errors import UsageError
from ops.spec import dtypes_of
from ops.workload import param_value

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.tuples(FLOATS, FLOATS), st.tuples(st.integers(0), st.integers(0)))
def test_the_id_tells_workloads_apart(scales: tuple[float, float], sizes: tuple[int, int]) -> None:
    first, second = (
        Workload("op", {"n": n}, "float32", {"scale": s})
        for n, s in zip(sizes, scales, strict=True)
    )
    assert (first.id == second.id) == (sizes[0] == sizes[1] and repr(scales[0]) == repr(scales[1]))


def test_the_id_is_short_and_exact() -> None:
    workload = Workload("op", {"n": 16777216}, "float16", {"eps": 1e-5, "offset": 3, "on": True})
    assert workload.id == "op[n=16777216,eps=1e-05,offset=3,on=True]float16"
    assert hash(workload) == hash(workload.id)


@pytest.mark.parametrize(
    ("case", "dtype", "said"),
    [
        (Case({"rows": 1, "cols": 2}), "float8", "unknown dtype 'float8'.*float16"),
        (Case({"rows": 1, "cols": 2}, {"epsilon": 1.0}), "float32", "parameter of rms_norm.*eps"),
        (Case({"rows": 1, "cols": 2}, {"eps": True}), "float32", "'eps' is True; give a number"),
        (Case({"rows": 1}), "float32", "axis 'cols' has no size; give rows, cols"),
        (Case({"rows": True, "cols": 2}), "float32", "rows is True; give a whole number"),
        (Case({"rows": 1, "cols": 2}, {"eps": -1.0}), "float32", "eps is -1.0; eps is above 0"),
        (Case({"rows": 1, "cols": 2}, {"eps": np.inf}), "float32", "eps is inf; eps is finite"),
    ],
)
def test_a_workload_is_checked(case: Case, dtype: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        ops.get("rms_norm").workload(case, dtype)


@pytest.mark.parametrize(
    ("name", "changed", "said"),
    [
        (
            "attention",
            {"heads": 3, "kv_heads": 2},
            r"heads % max\(kv_heads, 1\) == 0 does not hold where heads is 3 and kv_heads is 2$",
        ),
        ("rope", {"head_dim": 7}, "head_dim is 7; head_dim is a multiple of 2$"),
        ("qmm_4bit", {"group": 48}, "group is 48; group is one of 32, 64, 128$"),
        ("qmm_4bit", {"k": 100}, "k is 100; k is a multiple of 32$"),
        ("qmm_4bit", {"k": 96, "group": 64}, "k % group == 0 does not hold where k is 96 and"),
        ("topk", {"k": 9, "cols": 4}, "k <= cols does not hold where cols is 4 and k is 9$"),
    ],
)
def test_a_size_that_breaks_a_constraint_is_told(
    name: str, changed: dict[str, int], said: str
) -> None:
    op = ops.get(name)
    with pytest.raises(UsageError, match=said):
        op.workload(Case({**op.visible[1].axes, **changed}, op.visible[1].params), op.dtypes[0])


@pytest.mark.parametrize(
    ("name", "param", "value", "said"),
    [
        ("attention_sliding_window", "window", 0, "window is 0; window is above 0$"),
        ("attention_dilated_window", "dilation", -2, "dilation is -2; dilation is above 0$"),
        ("attention_softcap", "cap", 0.0, "cap is 0.0; cap is above 0$"),
        ("kv_append", "position", -1, "position is -1; position is at least 0$"),
        ("logits_top_k", "removed", 1.0, "removed is 1.0; removed is below 0$"),
    ],
)
def test_a_parameter_of_another_sign_is_told(
    name: str, param: str, value: float, said: str
) -> None:
    op = ops.get(name)
    with pytest.raises(UsageError, match=said):
        op.workload(Case(op.visible[1].axes, {param: value}), op.dtypes[0])


def test_parameters_take_the_type_of_their_default() -> None:
    rope = ops.get("rope")
    axes = {"batch": 1, "heads": 1, "seq": 1, "head_dim": 2}
    workload = rope.workload(Case(axes, {"base": 500000, "offset": 2.0}), "float32")
    assert workload.params == {"base": 500000.0, "offset": 2}
    assert [type(v) for v in workload.params.values()] == [float, int]
    with pytest.raises(UsageError, match=r"'offset' is 2.5; give a whole number"):
        rope.workload(Case(axes, {"offset": 2.5}), "float32")


def test_the_oracle_sees_the_parameter_a_kernel_sees() -> None:
    workload = ops.get("rms_norm").workload(Case({"rows": 1, "cols": 1}, {"eps": 0.1}), "float16")
    assert param_value(workload, "eps") == float(np.float32(0.1)) != 0.1


def test_case_sets() -> None:
    assert cases("m n", (1, 2), (3, 4), scale=0.5) == (
        Case({"m": 1, "n": 2}, {"scale": 0.5}),
        Case({"m": 3, "n": 4}, {"scale": 0.5}),
    )
    assert labelled("n", "here", 5) == Case({"n": 5}, {}, "here")
    for wrong in ((1,), (1, 2, 3)):
        with pytest.raises(ValueError, match="argument"):
            cases("m n", wrong)
    assert list(dtypes_of((ops.get("silu"), ops.get("topk")))) == ["float32", "float16", "bfloat16"]
