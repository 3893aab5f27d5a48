"""Baseline texts: what may stand in one, what is said of one that is wrong, and how one runs."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import pytest

import ops
from ops.baselines import Baseline
from ops.declaring.masking import Score
from ops.errors import UsageError
from ops.texts.mlx import MlxTextError, faults, names_in, statements

KNOWN = ("x", "weight", "eps", "rows", "cols", "dtype")


def test_an_expression_becomes_a_return_and_lines_stay() -> None:
    assert statements(" x + 1 ") == "return x + 1"
    assert statements("\n    y = x\n    return y\n") == "y = x\nreturn y"
    assert statements("mx.where(\n    x > 0,\n    x, 0)").startswith("return mx.where(\n")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("mx.exp(x) * eps", ["mx", "x", "eps"]),
        ("y = x\nreturn [v * rows for v in y]", ["x", "rows"]),
        ("mx.vjp(lambda a: a * eps, [x], [weight])[1][0]", ["mx", "eps", "x", "weight"]),
        ("def f(a):\n    return a * eps\nreturn f(x)", ["eps", "x"]),
        ("x = x.astype(dtype)\nreturn x", ["dtype"]),
    ],
)
def test_names_that_come_from_outside(text: str, wanted: list[str]) -> None:
    assert list(names_in(text)) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "mx.square(mx.maximum(x, 0))",
        "(x, x + 1)",
        "s = mx.zeros((rows,))\nfor c in range(cols):\n    s = s + x[:, c]\nreturn s",
        "y = x\ny += 1.0\nreturn y * math.sqrt(cols)",
        "mx.fast.rms_norm(x, weight if cols > 1 else None, eps)",
        "mx.vjp(lambda a, b: mx.fast.rms_norm(a, b, eps), [x, weight], [x])[1]",
        "x.at[0].add(1)",
    ],
)
def test_what_may_stand_in_a_text(text: str) -> None:
    assert list(faults(text, KNOWN)) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1: the text is empty"),
        ("y = x", "line 1: the last line of several is a 'return'"),
        ("y = x\nreturn y +", "line 2: not Python"),
        ("y = x\nreturn y * gain", "line 2: unknown name 'gain'; known: mx, math, x, weight"),
        ("import os\nreturn x", "line 1: 'import os' may not stand here"),
        ("y = x\nif rows:\n    y = 1\nreturn y", "line 2: 'if rows:' may not stand here"),
        ("print(x)\nreturn x", "may not stand here"),
        ("return x\nreturn x", "line 1: one 'return'"),
        ("y = x\nreturn", "line 2: one 'return', with a value"),
        ("for i in range(3):\n    return x\nreturn x", "line 2: one 'return'"),
        ("open('a')", "line 1: unknown name 'open'"),
        ("x.__class__", "line 1: '.__class__' is private"),
        ("__import__('os')", "'__import__' is a word of Python's own"),
        ("mx = 3\nreturn mx", "'mx' is a module"),
        ("x * x.max().item()", "'.item' reads a value back"),
        ("mx.compile(x)", "compiled=True"),
        ("mx.random.seed(1)", "changes the state of MLX"),
        ("y = mx.save('f', x)\nreturn x", "writes a file"),
        ("(y := x)", "':='"),
        ("f'{x}'", "an f-string"),
    ],
)
def test_what_may_not_is_told_on_its_line(text: str, said: str) -> None:
    found = list(faults(text, KNOWN))
    assert said in found[0], found


@pytest.mark.parametrize(
    ("baseline", "said"),
    [
        (Baseline("x * eps", traced=("eps",)), "traced is for compiled=True alone"),
        (Baseline("x * eps", compiled=True, traced=("x",)), "'x', which is no parameter"),
    ],
)
def test_only_numbers_of_a_compiled_text_are_traced(baseline: Baseline, said: str) -> None:
    assert said in "\n".join(baseline.problems(KNOWN, ("eps", "rows", "cols")))


def values(**more: Any) -> dict[str, Any]:
    return {"rows": 2, "cols": 3, "eps": 0.5, "dtype": "float16", **more}


def test_numbers_reach_a_text_as_python_numbers_and_dtype_as_mlx_dtype() -> None:
    x = mx.ones((2, 3), mx.float16)
    (out,) = Baseline("x * eps + cols").bind(("x",), values())(x)
    assert out.dtype == mx.float16
    assert out.tolist() == [[3.5] * 3] * 2
    (wide,) = Baseline("x.astype(mx.float32).astype(dtype)").bind(("x",), values())(x)
    assert wide.dtype == mx.float16


def test_several_outputs_and_lists_come_as_a_tuple() -> None:
    two = Baseline("mx.split(x, cols, axis=-1)").bind(("x",), values())(mx.ones((2, 3)))
    assert isinstance(two, tuple)
    assert len(two) == 3


def test_equal_numbers_of_other_types_are_not_mixed_up() -> None:
    x = mx.ones((2,), mx.int32)
    baseline = Baseline("x * eps")
    (floats,) = baseline.bind(("x",), values(eps=1.0))(x)
    (integers,) = baseline.bind(("x",), values(eps=1))(x)
    assert (floats.dtype, integers.dtype) == (mx.float32, mx.int32)


def test_a_compiled_text_serves_every_shape_and_traced_value() -> None:
    last = Baseline("x[x.shape[0] - 1] * eps", compiled=True, traced=("eps",))
    for rows, eps in ((2, 0.5), (5, 0.25), (3, 2.0)):
        x = mx.arange(rows * 4, dtype=mx.float32).reshape(rows, 4)
        (out,) = last.bind(("x",), values(eps=eps))(x)
        assert mx.array_equal(out, x[-1] * eps).item()


def test_what_this_mlx_lacks_is_named_when_it_is_bound() -> None:
    with pytest.raises(UsageError, match=r"line 1: mx.fast.sofmax is not in MLX \d"):
        Baseline("mx.fast.sofmax(x)").bind(("x",), values())


def test_a_text_that_is_no_python_says_so() -> None:
    with pytest.raises(MlxTextError, match="line 1: not Python"):
        _ = Baseline("x +").body


def test_a_baseline_differentiates() -> None:
    op = ops.get("rms_norm")
    workload = op.workload(op.visible[2], "float32")
    run = op.bound_baseline("mx.fast.rms_norm", workload)
    x, weight = mx.random.normal((8, 128)), mx.ones((128,))
    found = mx.grad(lambda v: run(v, weight)[0].square().sum())(x)
    known = mx.grad(lambda v: mx.fast.rms_norm(v, weight, 1e-5).square().sum())(x)
    assert mx.array_equal(found, known).item()


def test_an_unknown_baseline_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"baseline of silu 'plane': did you mean plain"):
        ops.get("silu").baseline("plane")


def test_a_bare_text_is_a_baseline_that_is_not_compiled() -> None:
    assert ops.get("silu").baseline("plain") == Baseline("x * mx.sigmoid(x)")


def test_a_gating_differentiates() -> None:
    op = ops.get("topk_gating")
    run = op.bound_baseline("mx.argsort", op.workload(op.visible[1], "float32"))
    found = mx.grad(lambda v: run(v)[0][:, 0].sum())(mx.random.normal((4, 8)))
    assert mx.all(mx.isfinite(found)).item()
    assert mx.any(found != 0).item()


@pytest.mark.parametrize(
    ("metal", "bias"),
    [
        ("s + rate * float(q - k)", "rate * (q - k)"),
        ("s + float(offset[h])", "mx.take(offset, h, axis=-1)"),
        ("0.5f * s", ""),
        ("s + s * float(k)", ""),
    ],
)
def test_what_a_score_adds_is_told_from_its_text(metal: str, bias: str) -> None:
    assert Score(np=lambda s: s, metal=metal).bias == bias
