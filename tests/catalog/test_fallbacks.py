"""The fallback of every op, called from a built package: plain, compiled, differentiated, empty."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import mlx.core as mx
import pytest
from every_op import OPS, entry_of, every_op

from foundry.catalog import fallbacks, signatures
from foundry.catalog.checks import Checks
from foundry.catalog.package import package_files
from foundry.harness.measuring.baseline import to_mlx
from foundry.judge.oracle.inputs import make_inputs
from ops import Op, Tensor, get
from ops.baselines import Baseline
from ops.workload import Workload

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patched:
        # No kernel runs here, and to compute what is right for each takes minutes.
        patched.setattr("foundry.catalog.package.checks_of", lambda _: Checks([], {}))
        files = package_files("every_op_wheel", "0.1.0", every_op())
    for path, content in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    sys.path.insert(0, str(folder))
    yield importlib.import_module("every_op_wheel")
    sys.path.remove(str(folder))


def arguments(op: Op, workload: Workload) -> tuple[list[mx.array], dict[str, Any]]:
    inputs = make_inputs(op, workload, "normal", 7)
    free = {a: workload.axes[a] for a in signatures.free_axes(op)}
    return [to_mlx(inputs[t.name]) for t in op.inputs], {**free, **workload.params}


MEANT: dict[str, dict[str, Any]] = {
    "matmul": {"transpose": True},
    "attention": {"mask": "causal"},
}
"""How a function with MLX's signature is asked for what the op computes."""


def called(package: ModuleType, op: Op, arrays: list[mx.array], numbers: dict[str, Any]) -> Any:
    named = {t.name: array for t, array in zip(op.inputs, arrays, strict=True)}
    return getattr(package, op.name)(**named, **numbers, **MEANT.get(op.name, {}))


def outputs(result: Any) -> list[mx.array]:
    return list(result) if isinstance(result, tuple) else [result]


def same(a: Any, b: Any) -> bool:
    pairs = zip(outputs(a), outputs(b), strict=True)
    return all(x.shape == y.shape and mx.array_equal(x, y).item() for x, y in pairs)


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_every_function_gives_what_the_first_baseline_gives(op: Op, package: ModuleType) -> None:
    for dtype in op.dtypes:
        listed = (*op.workloads("visible", dtype), *op.workloads("hidden", dtype))
        for workload in (w for w in listed if not w.absent):
            arrays, numbers = arguments(op, workload)
            named = {"dtype": getattr(mx, dtype)} if signatures.unseen_types(op) else {}
            got = called(package, op, arrays, numbers | named)
            if all(array.size for array in (*arrays, *outputs(got))):
                name = next(iter(op.baselines))
                assert same(got, op.bound_baseline(name, workload)(*arrays)), workload.id


@pytest.mark.parametrize("name", ["sinusoidal", "rope_table_yarn", "dequantize_fp8_e4m3"])
def test_tables_come_in_the_dtype_that_is_asked_for(name: str, package: ModuleType) -> None:
    op = get(name)
    arrays, numbers = arguments(op, op.workload(op.visible[-1], "float32"))
    plain = outputs(called(package, op, arrays, numbers))
    assert [array.dtype for array in plain] == [mx.float32] * len(plain)
    for _ in range(2):  # the second call is a look-up
        for dtype in (mx.float16, mx.bfloat16, mx.float32):
            found = outputs(called(package, op, arrays, numbers | {"dtype": dtype}))
            assert [array.dtype for array in found] == [dtype] * len(found)
            pairs = zip(found, plain, strict=True)
            assert all(mx.allclose(a, b, 1e-2, 1e-2).item() for a, b in pairs)
    with pytest.raises(ValueError, match="dtype is int32; give float32, float16 or bfloat16"):
        called(package, op, arrays, numbers | {"dtype": mx.int32})


COMPILED = [op for op in OPS if op.family in ("norms", "softmax", "elementwise", "selection")]
"""Families whose fallbacks MLX compiles in a second; each other one takes up to half a minute."""


@pytest.mark.parametrize("op", COMPILED, ids=lambda op: op.name)
def test_every_function_compiles(op: Op, package: ModuleType) -> None:
    workload = op.workload(op.visible[-1], op.dtypes[0])
    arrays, numbers = arguments(op, workload)
    compiled = mx.compile(lambda *given: called(package, op, list(given), numbers))
    plain = called(package, op, arrays, numbers)
    pairs = zip(outputs(compiled(*arrays)), outputs(plain), strict=True)
    assert all(mx.allclose(a, b, 1e-5, 1e-5).item() for a, b in pairs)


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_every_function_differentiates_as_its_baseline(op: Op, package: ModuleType) -> None:
    workload = op.workload(op.visible[-1], op.dtypes[0])
    arrays, numbers = arguments(op, workload)
    baseline = op.bound_baseline(next(iter(op.baselines)), workload)

    def total(function: Any) -> Any:
        return lambda x: outputs(function(x))[0].sum()

    find = mx.grad(total(lambda x: called(package, op, [x, *arrays[1:]], numbers)))
    try:
        want = mx.grad(total(lambda x: baseline(x, *arrays[1:])))(arrays[0])
    except ValueError:  # of whole numbers, or through a function that has none
        with pytest.raises(ValueError):
            find(arrays[0])
    else:
        assert mx.allclose(find(arrays[0]), want, 1e-5, 1e-5, equal_nan=True).item()


def test_functions_that_take_leading_dimensions_compile_for_any_shape(package: ModuleType) -> None:
    weight = mx.ones((64,))
    compiled = mx.compile(lambda x: package.rms_norm(package.softmax(x), weight), shapeless=True)
    for shape in ((2, 3, 64), (4, 5, 64)):
        x = mx.random.normal(shape)
        assert mx.allclose(compiled(x), package.rms_norm(package.softmax(x), weight)).item()


def test_functions_map_over_an_axis(package: ModuleType) -> None:
    x, weight = mx.random.normal((3, 4, 64)), mx.ones((64,))
    mapped = mx.vmap(lambda row: package.rms_norm(row, weight))(x)
    assert mx.allclose(mapped, package.rms_norm(x, weight)).item()


def test_ties_come_out_in_the_order_of_the_op(package: ModuleType) -> None:
    values, indices = package.topk(mx.array([[1.0, 3.0, 3.0, 3.0, 2.0]]), k=3)
    assert indices.tolist() == [[1, 2, 3]]
    assert values.tolist() == [[3.0, 3.0, 3.0]]


def test_empty_arrays_are_answered_with_their_shape(package: ModuleType) -> None:
    assert package.rms_norm(mx.ones((2, 3, 0)), mx.ones((0,))).shape == (2, 3, 0)
    assert package.softmax(mx.ones((2, 0, 5), mx.float16)).dtype == mx.float16
    assert (
        package.matmul(mx.ones((2, 3, 0)), mx.ones((4, 0)), transpose=True).tolist()
        == [[[0.0] * 4] * 3] * 2
    )
    values, indices = package.topk(mx.ones((2, 5)), k=0)
    assert (values.shape, indices.shape, indices.dtype) == ((2, 0), (2, 0), mx.uint32)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda p: p.topk(mx.ones((2, 8)), k=9), "k <= cols does not hold for k=9"),
        (lambda p: p.topk(mx.ones((2, 8)), k=-1), "k is -1; sizes are 0 or more"),
        (lambda p: p.topk(mx.ones((2, 8)), 2.7), "k is 2.7; give a whole number"),
        (lambda p: p.topk(mx.ones((2, 8)), "3"), "k is '3'; give a whole number"),
        (lambda p: p.topk(mx.ones((2, 8)), True), "k is True; give a whole number"),
        (lambda p: p.rope(mx.ones((2, 3, 4, 7))), "head_dim % 2 == 0 does not hold"),
        (
            lambda p: p.rms_norm(mx.ones((2, 8), mx.int32), mx.ones((8,))),
            "x is int32; give float32, float16 or bfloat16",
        ),
        (lambda p: p.rms_norm(mx.ones((2, 8)), mx.ones((7,))), "weight has size 7 where cols is 8"),
        (lambda p: p.swiglu(mx.ones((2, 8)), mx.ones((3, 8))), "others have"),
        (lambda p: p.swiglu_packed(mx.ones((2, 7))), "x has size 7; expected 2 * cols"),
        (lambda p: p.softmax(mx.array(1.0)), "x needs 1 dimensions"),
        (lambda p: p.softmax(mx.ones((2, 3)), axis=2), "axis is 2; x has 2 dimensions"),
        (
            lambda p: p.attention(*[mx.ones((1, 2, 3, 8))] * 3, mask="full"),
            "mask is 'full'; give None, 'causal' or an array",
        ),
    ],
)
def test_wrong_arguments_get_one_sentence(call: Any, said: str, package: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"^\w+: ") as caught:
        call(package)
    assert said in str(caught.value)


def test_the_fallback_is_the_first_baseline_whatever_was_timed() -> None:
    source = fallbacks.module([get("rms_norm"), get("topk")])
    assert "mx.fast.rms_norm(x, weight, eps)" in source
    assert "argpartition" not in source


def function(op: Op) -> Any:
    namespace: dict[str, Any] = {}
    exec(fallbacks.module([op]), namespace)
    return namespace[op.name]


def test_a_compiled_first_baseline_is_shipped_compiled_with_its_traced_numbers() -> None:
    rope = get("rope")
    op = replace(rope, baselines={"compiled": rope.baseline("compiled")})
    assert "@mx.compile" in fallbacks.module([op])
    x = mx.random.normal((1, 2, 3, 8))
    for offset in (0, 5):
        got = function(op)(x, base=10000.0, offset=offset, head_dim=8)
        want = mx.fast.rope(x, 8, traditional=False, base=10000.0, scale=1.0, offset=offset)
        assert mx.allclose(got, want, 1e-4, 1e-4).item()


def test_a_text_may_use_the_dtype_and_pythons_math() -> None:
    op = replace(get("silu"), baselines={"mine": Baseline("(x * math.sqrt(2.0)).astype(dtype)")})
    assert "import math" in fallbacks.module([op])
    assert function(op)(mx.ones((2, 2), mx.float16)).dtype == mx.float16


@pytest.mark.parametrize(
    ("text", "takes"),
    [
        ("mx.softmax(x, axis=-1)", True),
        ("mx.softmax(x, axis=1)", False),
        ("x[:, :]", False),
        ("x.reshape(rows, cols)", False),
        ("x - x.T.T", True),
        ("x * (1 / (3 - x.ndim))", False),
    ],
)
def test_leading_dimensions_are_found_by_trying(text: str, takes: bool) -> None:
    op = replace(get("softmax"), baselines={"mine": text})
    assert fallbacks.takes_leading_dimensions(op) is takes


def test_an_optional_input_may_be_left_out(tmp_path: Path) -> None:
    norm = get("rms_norm")
    x, weight = norm.inputs
    op = replace(
        norm,
        inputs=(x, replace(weight, optional=True)),
        oracle=lambda i, w: norm.oracle({"weight": 1.0, **i}, w),
    )
    files = package_files("bare_norm", "0.1.0", [entry_of(op)])
    source = files["bare_norm/__init__.py"]
    assert isinstance(source, str)
    assert "def rms_norm(x: mx.array, weight: mx.array | None = None, eps: float" in source


def test_an_op_over_two_arrays_of_which_one_is_empty_runs_its_text() -> None:
    """Rows appended to no rows: no constant, so the fallback computes it."""
    op = joined()
    record = json.loads(str(package_files("joins", "0.1.0", [entry_of(op)])["joins/catalog.json"]))
    assert record["ops"][0]["over_nothing"] == "computed"


def joined() -> Op:
    import numpy as np

    from ops import Case
    from ops.axis import axes
    from ops.matches import Exact

    return Op(
        name="joined",
        family="mine",
        formula="out is a, then b.",
        axes=axes("a_len b_len"),
        inputs=(Tensor("a", ("a_len",)), Tensor("b", ("b_len",))),
        outputs=(Tensor("out", ("a_len + b_len",), match=Exact()),),
        oracle=lambda i, w: (np.concatenate([i["a"], i["b"]]),),
        baselines={"mx.concatenate": "mx.concatenate([a, b])"},
        flops="0",
        visible=(Case({"a_len": 3, "b_len": 2}),),
        hidden=(Case({"a_len": 0, "b_len": 2}), Case({"a_len": 4, "b_len": 0})),
        bench=(Case({"a_len": 64, "b_len": 1}),),
    )


MLX: dict[str, Any] = {
    "softmax": (lambda p, x: p.softmax(x, 1), lambda x: mx.softmax(x, 1)),
    "rms_norm": (lambda p, x: p.rms_norm(x), lambda x: mx.fast.rms_norm(x, None, 1e-5)),
    "rms_norm on a stream": (
        lambda p, x: p.rms_norm(x, x[0, 0], stream=mx.cpu),
        lambda x: mx.fast.rms_norm(x, x[0, 0], 1e-5),
    ),
    "layer_norm": (
        lambda p, x: p.layer_norm(x, x[0, 0]),
        lambda x: mx.fast.layer_norm(x, x[0, 0], None, 1e-5),
    ),
    "row_sum": (lambda p, x: p.row_sum(x, 0), lambda x: x.sum(0)),
    "row_sum of one row": (lambda p, x: p.row_sum(x[0, 0]), lambda x: x[0, 0].sum()),
    "row_max": (lambda p, x: p.row_max(x, 1, keepdims=True), lambda x: x.max(1, keepdims=True)),
    "row_logsumexp": (lambda p, x: p.row_logsumexp(x), lambda x: mx.logsumexp(x, -1)),
    "cumsum": (lambda p, x: p.cumsum(x, 0), lambda x: mx.cumsum(x, 0)),
    "cumsum from the end": (
        lambda p, x: p.cumsum(x, -1, reverse=True, inclusive=False),
        lambda x: mx.cumsum(x, -1, reverse=True, inclusive=False),
    ),
    "cumsum over all": (lambda p, x: p.cumsum(x), mx.cumsum),
    "cumsum of one row": (lambda p, x: p.cumsum(x[0, 0]), lambda x: mx.cumsum(x[0, 0])),
    "cumsum in a dtype": (
        lambda p, x: p.cumsum(x, 1, dtype=mx.float16),
        lambda x: mx.cumsum(x, 1, dtype=mx.float16),
    ),
    "cumsum of integers": (
        lambda p, x: p.cumsum((9 * x).astype(mx.int32), 0),
        lambda x: mx.cumsum((9 * x).astype(mx.int32), 0),
    ),
    "cummax over all from the end": (
        lambda p, x: p.cummax(x, reverse=True, inclusive=False),
        lambda x: mx.cummax(x, reverse=True, inclusive=False),
    ),
    "cummax over all": (lambda p, x: p.cummax(x), mx.cummax),
    "softmax over all": (lambda p, x: p.softmax(x, None), lambda x: mx.softmax(x)),
    "softmax over two axes": (lambda p, x: p.softmax(x, (0, 2)), lambda x: mx.softmax(x, (0, 2))),
    "row_sum over all": (lambda p, x: p.row_sum(x, None), mx.sum),
    "row_sum of integers": (
        lambda p, x: p.row_sum((9 * x).astype(mx.int32)),
        lambda x: (9 * x).astype(mx.int32).sum(-1),
    ),
    "row_max over two axes": (
        lambda p, x: p.row_max(x, [0, 1], keepdims=True),
        lambda x: x.max([0, 1], keepdims=True),
    ),
    "row_mean over all": (lambda p, x: p.row_mean(x, axis=None), mx.mean),
    "row_logsumexp over all": (lambda p, x: p.row_logsumexp(x, axis=None), mx.logsumexp),
    "row_l2 over all": (lambda p, x: p.row_l2(x, axis=None), mx.linalg.norm),
    "topk": (lambda p, x: p.topk(x, 2, 0)[0], lambda x: mx.sort(-x, 0)[:2] * -1),
    "matmul": (lambda p, x: p.matmul(x, x.swapaxes(1, 2)), lambda x: x @ x.swapaxes(1, 2)),
    "rope in pairs": (
        lambda p, x: p.rope(x[None], 4, traditional=True, offset=3, scale=0.5),
        lambda x: mx.fast.rope(x[None], 4, traditional=True, base=10000.0, scale=0.5, offset=3),
    ),
    "rope from an offset a batch": (
        lambda p, x: p.rope(x[:, None], 8, offset=mx.array([1, 5, 9])),
        lambda x: mx.fast.rope(
            x[:, None], 8, traditional=False, base=10000.0, scale=1.0, offset=mx.array([1, 5, 9])
        ),
    ),
    "attention without a mask": (
        lambda p, x: p.attention(x[None], x[None], x[None]),
        lambda x: mx.fast.scaled_dot_product_attention(x[None], x[None], x[None], scale=8**-0.5),
    ),
    "attention with a mask": (
        lambda p, x: p.attention(x[None], x[None], x[None], mask=mx.tri(4) > 0),
        lambda x: mx.fast.scaled_dot_product_attention(
            x[None], x[None], x[None], scale=8**-0.5, mask=mx.tri(4) > 0
        ),
    ),
}


@pytest.mark.parametrize("what", MLX)
def test_functions_take_what_mlx_takes(what: str, package: ModuleType) -> None:
    x = mx.random.normal((3, 4, 8), key=mx.random.key(5))
    ours, theirs = MLX[what]
    got, want = ours(package, x), theirs(x)
    assert (got.shape, got.dtype) == (want.shape, want.dtype)
    assert mx.allclose(got, want, 1e-5, 1e-5).item()


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("softmax", mx.softmax),
        ("rms_norm", mx.fast.rms_norm),
        ("layer_norm", mx.fast.layer_norm),
        ("rope", mx.fast.rope),
        ("attention", mx.fast.scaled_dot_product_attention),
        ("cumsum", mx.cumsum),
        ("cummax", mx.cummax),
        ("row_sum", mx.sum),
        ("row_max", mx.max),
        ("row_mean", mx.mean),
        ("row_logsumexp", mx.logsumexp),
    ],
)
def test_functions_have_every_argument_that_mlx_names(
    ours: str, theirs: Any, package: ModuleType
) -> None:
    named = re.findall(r"(\w+):", str(theirs.__doc__).split(") ->")[0])
    assert set(named) - {"a"} <= set(inspect.signature(getattr(package, ours)).parameters)


def test_every_function_of_mlx_belongs_to_an_op() -> None:
    for name in signatures.SURFACE:
        assert signatures.has_surface(get(name)), name
