"""Every rule of a declared op is broken once, and every built-in op keeps them all."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import ops
from foundry.metal.reading.parameters import INDEX_ATTRIBUTES, SIZE_ATTRIBUTES
from ops import Axis, Case, Close, Distribution, Op, Set, Tensor, Ties, axes
from ops.declaring.validation import check, problems, refused_name
from ops.errors import UsageError
from ops.families.attention.masked import masked_attention
from ops.families.forms.pointwise import elementwise
from ops.fills import Bits, Custom, Index, Int, Real, Segments, Sorted
from ops.spec import bytes_moved, flops
from ops.workload import reduction_length, shape_of

ALL = list(ops.all_ops().values())
OUT = Tensor("out", ("rows", "cols"))
INDEX = Tensor("index", ("rows",), "uint32", match=Ties(by="x"))
NEAR: Any = "near"
KIND: Any = Real
HALF: Any = 0.5


@pytest.mark.parametrize("op", ALL, ids=lambda op: op.name)
def test_built_in_ops_keep_the_rules(op: Op) -> None:
    assert list(problems(op)) == []
    assert all(case.label for case in op.bench), "a bench shape says where it comes from"
    hidden, bench = ({w.id for w in op.workloads(kind, "float32")} for kind in ("hidden", "bench"))
    assert not hidden & bench, "bench cases are shown, and hidden ones are not"
    assert {"float32", "float16", "bfloat16"} <= set(op.dtypes)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "Soft Max"}, "lower-case identifier"),
        ({"axes": axes("rows rows cols")}, "'rows' names 2 things"),
        ({"inputs": (Tensor("rows", ("rows",)),)}, "'rows' names 2 things"),
        ({"inputs": (Tensor("half", ("rows",)),)}, "'half' is a word of Metal"),
        ({"inputs": (Tensor("T", ("rows",)),)}, "'T' is a word of Metal"),
        ({"inputs": (Tensor("x_shape", ("rows",)),)}, "the names MLX generates"),
        ({"inputs": (Tensor("x-1", ("rows",)),)}, "'x-1' is not an identifier"),
        ({"inputs": ()}, "at least one input"),
        ({"inputs": (Tensor("x", ("rows", "heads")),)}, "shape of x uses 'heads'"),
        ({"inputs": (Tensor("x", ("rows * ",)),)}, "shape of x: .*not plain arithmetic"),
        ({"inputs": (Tensor("x", ("rows - 1",)),)}, r"shape of x is \(-1,\)"),
        ({"inputs": (Tensor("x", ("rows",), dtype="fp8"),)}, "dtype 'fp8'"),
        ({"axes": ("rows", "cols")}, "'rows' is no Axis; write axes="),
        (
            {"axes": axes("rows", Axis("cols", multiple_of=NEAR))},
            "multiple_of 'near'; give a",
        ),
        ({"axes": axes("rows", Axis("cols", values=NEAR))}, "values 'near'; give whole numbers"),
        ({"inputs": OUT}, r"inputs is Tensor.*no tuple; write inputs=\(Tensor"),
        ({"inputs": (Tensor("x", NEAR),)}, "shape of x is 'near', no tuple"),
        ({"inputs": (Tensor("x", ("rows",), fill=KIND),)}, "give one of ops.fills"),
        ({"inputs": (Tensor("x", ("rows",), fill=Real(NEAR)),)}, "an end 'near'; give a finite"),
        ({"inputs": (Tensor("x", ("rows",), fill=Real(low=math.nan)),)}, "an end nan; give a"),
        ({"inputs": (Tensor("x", ("rows",), fill=Sorted(NEAR)),)}, "Sorted holds 'near'; give it"),
        ({"inputs": (Tensor("x", ("rows",), fill=Custom(NEAR)),)}, "Custom holds 'near'; give it"),
        ({"visible": Case({"rows": 1, "cols": 1})}, "visible is Case.*no tuple"),
        ({"visible": ({"rows": 1},)}, "{'rows': 1} is no Case; write visible="),
        ({"visible": (Case({"rows": NEAR, "cols": 1}),)}, "rows is 'near'; give a whole number"),
        ({"constraints": "rows <= 2"}, "constraints is 'rows <= 2', no tuple"),
        ({"params": {"eps": 2**40}}, "'eps' is 1099511627776; kernels take whole numbers below"),
        (
            {"visible": (Case({"rows": 1, "cols": 1}, {"eps": 2}),)},
            "unknown parameter of softmax 'eps': there are none",
        ),
        (
            {"params": {"k": 1}, "visible": (Case({"rows": 1, "cols": 1}, {"k": NEAR}),)},
            "'k' is 'near'; give a whole number",
        ),
        ({"params": {"k": 1}, "visible": (Case({"rows": 1, "cols": 1}, {"k": 2**31}),)}, "below 2"),
        ({"inputs": (Tensor("x", ("rows",), "int32", Int(0, HALF)),)}, "an end 0.5; give a whole"),
        ({"baselines": "x"}, "baselines is 'x', no dictionary; write baselines="),
        ({"params": {"eps": 0.5}, "ranges": {"eps": (0, 1)}}, r"ranges: \(0, 1\) is no Range"),
        ({"axes": axes("rows", Axis("cols", multiple_of=0))}, "'cols' has multiple_of 0"),
        ({"axes": axes("rows", Axis("cols", values=(3,), least=4))}, "breaks its own rule: .* 3"),
        ({"axes": axes("rows", Axis("cols", multiple_of=32))}, "cols is 1; cols is a multiple of"),
        ({"inputs": (Tensor("x", ("rows",), "int32", Index("v")),)}, "fill of x uses 'v'"),
        ({"inputs": (Tensor("x", ("rows",), fill=NEAR),)}, "fill 'near'; give one of ops.fills"),
        ({"inputs": (Tensor("x", ("rows",), fill=Bits()),)}, "x is float32: Bits fills integers"),
        ({"inputs": (Tensor("x", ("rows",), "uint8", Int(0, 256)),)}, "0 to 256 is too wide"),
        ({"inputs": (Tensor("x", ("rows",), "uint32", Segments()),)}, "needs a signed dtype"),
        ({"inputs": (Tensor("x", ("rows",), "int32", Index("cols")),)}, "which is 0"),
        ({"outputs": (replace(OUT, fill=Real(0, 1)),)}, "a fill says what an input holds"),
        ({"outputs": (replace(OUT, optional=True),)}, "only inputs are optional"),
        ({"outputs": (replace(OUT, continues="y"),)}, "an output continues an input"),
        ({"outputs": (replace(OUT, continues="x"),)}, "give bytes"),
        ({"types": {"w": ("uint8",)}}, "'w' is no capital letter"),
        ({"types": {"W": ()}}, "'W' is empty"),
        ({"types": {"W": ("fp4",)}}, "'W': dtype 'fp4'"),
        ({"types": {"T": ("int8",)}}, "'T' is a word of Metal"),
        ({"outputs": (replace(OUT, dtype="bool_", match=Close()),)}, "give match=Exact"),
        ({"inputs": (replace(OUT, name="x", match=Close()),)}, "x is an input; a match says"),
        ({"outputs": (Tensor("out", (), match=Set()),)}, "no axis that match=Set"),
        ({"outputs": (replace(OUT, match=Ties(by="x")),)}, r"out is T; Ties\(.* is for integers"),
        ({"outputs": (replace(INDEX, match=Ties(by="y")),)}, "'y' is no input"),
        ({"outputs": (replace(INDEX, match=Ties(by="x", axis=2)),)}, "x has 2 axes"),
        ({"outputs": (replace(INDEX, shape=("cols",)),)}, r"its shape is not \['rows'\]"),
        ({"outputs": (replace(INDEX, match=Distribution("v")),)}, "outcomes of index uses 'v'"),
        ({"outputs": (replace(INDEX, match=Distribution(4, "u")),)}, "drawn from 'u', which is no"),
        ({"outputs": (replace(OUT, match=NEAR),)}, "match 'near'"),
        ({"flops": "rows * depth"}, "flops uses 'depth'"),
        ({"flops": "0 - 1"}, "flops or bytes are negative"),
        ({"bytes": "rows * itemsize * k"}, "bytes uses 'k'"),
        ({"outputs": (replace(OUT, match=Close("cols / 2")),)}, "reduction of out: .*not plain"),
        ({"constraints": ("cols % lanes == 0",)}, "constraint uses 'lanes'"),
        ({"constraints": ("rows // cols >= 0",)}, "hidden case .* divides by zero"),
        ({"constraints": ("cols > 4096",)}, "visible case .* does not hold"),
        ({"params": {"eps": "small"}}, "parameter 'eps' is 'small'"),
        ({"params": {"float": 1.0}}, "'float' is a word of Metal"),
        ({"params": {"float4": 1.0}}, "'float4' is a word of Metal"),
        ({"params": {"INFINITY": 1.0}}, "'INFINITY' is a word of Metal"),
        ({"params": {"xor": 1}}, "'xor' is a word of Metal"),
        ({"params": {"grid_size": 1}}, "'grid_size' is where a thread stands"),
        (
            {"params": {"thread_index_in_simdgroup": 1}},
            "'thread_index_in_simdgroup' is where a thread stands",
        ),
        ({"params": {"mf_mode": 1}}, "'mf_mode' is a name that engines use"),
        ({"params": {"a__b": 1}}, "'a__b' is a name that engines use"),
        ({"dtypes": ()}, "dtypes is empty"),
        ({"dtypes": ("float8",)}, "dtype 'float8'"),
        ({"baselines": {}}, "baselines is empty"),
        ({"baselines": {"plain": 3}}, "'plain' is 3; give MLX text"),
        ({"baselines": {"plain": print}}, "'plain' is a function; give MLX text"),
        ({"baselines": {"plain": "x * scale"}}, "line 1: unknown name 'scale'; known: mx"),
        ({"params": {"dtype": 1}}, "'dtype' is a word of baselines"),
        ({"oracle": None}, "oracle is not a function"),
        ({"formula": " "}, "formula is empty"),
        ({"hidden": ()}, "no hidden cases"),
        ({"visible": (Case({"rows": 1}),)}, "axis 'cols' has no size"),
        ({"visible": (Case({"rows": 1, "cols": -1}),)}, "sizes are >= 0"),
        ({"visible": (Case({"rows": 1, "columns": 1}),)}, "unknown axis of softmax 'columns'"),
        ({"visible": (Case({"rows": 1, "cols": 1}),) * 2}, "visible lists .* 2 times"),
        ({"visible": ops.get("softmax").hidden}, "is both visible and hidden"),
    ],
)
def test_a_broken_rule_is_named(change: dict[str, Any], said: str) -> None:
    broken = replace(ops.get("softmax"), **change)
    with pytest.raises(UsageError, match=f"op '.*': .*{said}"):
        check(broken)


def member(params: Any) -> Op:
    return elementwise("f", np=NEAR, mlx="x", metal="x", flops=1, params=params)


@pytest.mark.parametrize(
    ("declare", "said"),
    [
        (
            lambda: elementwise("f", np=NEAR, mlx="x", metal="x", flops=1, params={"k": ()}),
            "'k' is (); give its",
        ),
        (
            lambda: elementwise("f", np=NEAR, mlx="x", metal="x", flops=1, params={"k": "1"}),
            "'k' is '1'; give",
        ),
        (lambda: masked_attention("f", NEAR), "'near' is no Mask; write Mask(np=..."),
        (lambda: masked_attention("f", score=NEAR), "'near' is no Score; write Score(np=..."),
    ],
)
def test_a_member_of_a_family_says_what_it_takes(declare: Callable[[], Op], said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        declare()


def values(op: Op, cases: tuple[Case, ...], param: str) -> set[Any]:
    return {{**op.params, **case.params}[param] for case in cases}


@pytest.mark.parametrize("op", ALL, ids=lambda op: op.name)
def test_a_kernel_that_knows_only_the_visible_fails(op: Op) -> None:
    """Hidden workloads go where the visible ones do not, and parameters leave their defaults."""
    for axis in op.axis_names:
        visible = {case.axes[axis] for case in op.visible}
        hidden = {case.axes[axis] for case in op.hidden}
        assert hidden - visible, axis
        assert max(hidden) > max(visible) or axis == "batch", axis
    for param, default in op.params.items():
        assert values(op, op.visible, param) - {default}, param
        if isinstance(default, bool):  # there is no third
            assert values(op, op.hidden, param) == {False, True}, param
        else:
            assert values(op, op.hidden, param) - values(op, op.visible, param), param


@pytest.mark.parametrize("op", ALL, ids=lambda op: op.name)
def test_hidden_shapes_are_adversarial(op: Op) -> None:
    sizes = {size for case in op.hidden for size in case.axes.values()}
    assert 0 in sizes, "an empty workload"
    assert 1 in sizes
    assert any(n % 2 and n % 3 and n % 5 and n > 5 for n in sizes), "nothing divides it"
    assert any(n + 1 in (32, 64, 128, 256, 1024, 2048) for n in sizes), "a power of two less one"
    assert any(n - 1 in (32, 64, 128, 256, 1024, 2048) for n in sizes), "a power of two and one"


@pytest.mark.parametrize("op", ALL, ids=lambda op: op.name)
def test_verification_is_small_and_bench_grows(op: Op) -> None:
    dtype = op.dtypes[0]
    for kind in ("visible", "hidden"):
        for workload in op.workloads(kind, dtype):
            assert bytes_moved(op, workload) <= 2**20, workload.id
            assert flops(op, workload) <= 2**23, workload.id
    work = [flops(op, w) for w in op.workloads("bench", dtype)]
    assert work == sorted(work)
    assert bytes_moved(op, op.workload(op.bench[0], dtype)) <= 2**21
    assert len({w.label for w in op.workloads("bench", dtype)}) == len(op.bench)


def test_attributes_of_metal_are_no_names_and_what_looks_like_them_is() -> None:
    for name in SIZE_ATTRIBUTES | INDEX_ATTRIBUTES:
        assert "is where a thread stands" in refused_name(name), name
    for name in ("thread_inner", "threads_performed", "thread_index", "simdgroups_per_row"):
        assert not refused_name(name)


@pytest.mark.parametrize("seq", [1, 8, 40, 512])
def test_features_of_queries_and_keys_count_and_then_the_cheaper_way(seq: int) -> None:
    op = ops.get("linear_attention_favor")
    axes = {"batch": 2, "heads": 3, "seq": seq, "head_dim": 16, "features": 64}
    found = flops(op, op.workload(Case(axes), "float16"))
    features, sums = 2 * 2 * seq * 64 * 16, 2 * 2 * seq * 64 * 16
    pairs = 2 * seq * seq * 64 + 2 * seq * seq * 16
    assert found == 2 * 3 * (features + min(sums, pairs))


def test_models() -> None:
    attention = ops.get("attention")
    axes = dict.fromkeys(attention.axis_names, 1) | {"q_len": 3, "kv_len": 5, "head_dim": 2}
    workload = attention.workload(Case(axes), "float16")
    pairs = sum(1 for i in range(3) for j in range(5) if j <= i + 2)
    assert flops(attention, workload) == 4 * pairs * 2
    assert bytes_moved(attention, workload) == 2 * (3 + 5 + 5 + 3) * 2
    assert reduction_length(attention.outputs[0], workload) == 7
    topk = ops.get("topk")
    workload = topk.workload(Case({"rows": 2, "cols": 10, "k": 3}), "bfloat16")
    assert bytes_moved(topk, workload) == 2 * 10 * 2 + 2 * 3 * (2 + 4)
    assert [shape_of(t, workload) for t in topk.outputs] == [(2, 3), (2, 3)]
