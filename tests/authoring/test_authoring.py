"""From an expression to a kernel: what is written, computed, proven, differentiated, refused."""

from __future__ import annotations

import math
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundry.authoring import AuthoredFunction, elementwise, map_reduce, rowwise
from foundry.authoring.calling import listen
from foundry.authoring.constants import FLOAT32_MAX
from foundry.authoring.expression import derivative, read, read_derivative, written
from foundry.catalog.runtime import device, transforms
from foundry.errors import UsageError
from foundry.judge.judge import Judge
from foundry.judge.oracle.inputs import make_inputs
from foundry.judge.verdict import Diagnostic, Evaluation, Proven, Status
from foundry.kernel import Kernel
from foundry.msl.stand_in.metal import metal
from ops.spec import Op, widen

MISH = "x * tanh(log(1 + exp(x)))"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOUNDRY_CACHE_DIR", str(tmp_path))


def x() -> mx.array:
    return mx.random.normal((2, 3, 5), key=mx.random.key(4)) * 3


def mish(v: mx.array) -> mx.array:
    return v * mx.tanh(mx.logaddexp(v, mx.array(0.0)))


def test_an_elementwise_function_computes_and_differentiates() -> None:
    made = elementwise(MISH)
    assert mx.allclose(made(x()), mish(x()), 1e-5, 1e-6).item()
    got = mx.grad(lambda v: made(v).sum())(x())
    assert mx.allclose(got, mx.grad(lambda v: mish(v).sum())(x()), 1e-5, 1e-5).item()
    assert made(x().astype(mx.bfloat16)).dtype == mx.bfloat16
    assert elementwise(MISH).file == made.file


def test_rows_and_their_reductions() -> None:
    soft = rowwise("exp(x - max(x)) / sum(exp(x - max(x)))")
    assert mx.allclose(soft(x()), mx.softmax(x(), -1), 1e-5, 1e-6).item()
    assert soft.metal.count("max of") <= 1
    weight, scale = mx.arange(5.0), mx.array([2.0, 3.0, 4.0])
    norm = rowwise("x * rsqrt(mean(x * x) + eps) * weight", ("x", "weight[cols]"), {"eps": 1e-5})
    assert mx.allclose(norm(x(), weight), mx.fast.rms_norm(x(), weight, 1e-5), 1e-4, 1e-5).item()
    scaled = rowwise("x * scale - mean(x)", ("x", "scale[rows]"))
    want = x()[0] * scale[:, None] - x()[0].mean(-1, keepdims=True)
    assert mx.allclose(scaled(x()[0], scale), want, 1e-5, 1e-5).item()
    dots = map_reduce("x * y", "sum", ("x", "y"))
    assert mx.allclose(dots(x(), x()), x().square().sum(-1), 1e-5, 1e-5).item()
    assert map_reduce("abs(x)", "max")(x()).shape == (2, 3)


def test_a_comparison_is_one_or_zero_in_every_language() -> None:
    steps = elementwise("(x > 0) + (x > 1) - (x < 0) + where(x > 0, x > 1, (x < 2) > 0)")
    values = mx.array([-1.0, 0.5, 2.0])
    assert steps(values).tolist() == [0.0, 1.0, 3.0]
    assert mx.grad(lambda v: steps(v).sum())(values).tolist() == [0.0, 0.0, 0.0]
    assert "+ (x >" not in steps.metal
    assert elementwise("where(x > 0, x, 0)").metal.count("?") == 1
    assert rowwise("(x > mean(x)) - 0.5")(values[None]).tolist() == [[-0.5, -0.5, 0.5]]


def test_rows_of_reductions_alone_are_as_long_as_the_input() -> None:
    largest = rowwise("max(x)")
    assert largest(x()).tolist() == mx.broadcast_to(x().max(-1, keepdims=True), x().shape).tolist()
    (op,) = largest.ops
    case = op.workloads("visible", "float32")[0]
    given = make_inputs(op, case, "normal", 1)
    assert op.oracle(widen(op, case, given), case)[0].shape == given["x"].shape
    assert rowwise("sum(x) * 0.5")(x()).shape == x().shape


def anywhere(made: AuthoredFunction, device_id: str = "metal-here") -> None:
    """As if the judge had proven its kernels at every size."""
    for op, kernel in zip(made.ops, made.kernels, strict=True):
        sizes = dict.fromkeys(op.axis_names, (1, 1 << 20))
        params = dict.fromkeys(op.params, (-1000000000.0, 1000000000.0))
        made.evaluations[f"{op.name} float32"] = Evaluation(
            kernel_hash=kernel.hash,
            op=op.name,
            dtype="float32",
            device_id=device_id,
            status=Status.CORRECT,
            proven=Proven(axes=sizes, params=params, elements=1 << 30, flops=1 << 40),
        )


def test_a_proven_kernel_answers_where_metal_is() -> None:
    made = elementwise("where(x > y, x * y, x + rate)", ("x", "y"), {"rate": 0.5})
    other = x()[::-1]
    plain, gradient = made(x(), other), mx.grad(lambda a: made(a, other).sum())(x())
    made.__dict__.pop("_calls")
    anywhere(made)
    with metal():
        device.chip.cache_clear()
        got = mx.grad(lambda a: made(a, other).sum())(x())
        assert mx.allclose(made(x(), other), plain, 1e-6, 1e-6).item()
        assert [key[1] for key in made._calls.kept] == [""]
    device.chip.cache_clear()
    assert mx.allclose(got, gradient, 1e-5, 1e-5).item()


def is_served(made: AuthoredFunction, *arrays: mx.array) -> bool:
    """Whether a kernel answers such a call where Metal is."""
    with metal():
        device.chip.cache_clear()
        found = made._calls.kernel(arrays, {}, exactly=False)
    device.chip.cache_clear()
    return found is not None


@pytest.mark.parametrize(("device_id", "served"), [("metal-here", True), ("cpu-here", False)])
def test_what_was_proven_elsewhere_is_not_proven_on_metal(device_id: str, served: bool) -> None:
    made = elementwise("x * y", ("x", "y"))
    anywhere(made, device_id)
    assert is_served(made, x(), x()) is served
    assert not is_served(made, x(), x().astype(mx.float16)), "proven for arrays of one dtype"


def test_what_is_kept_of_calls_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foundry.authoring.calling.MOST_KEPT", 3)
    made = elementwise("x * x")
    for size in range(1, 9):
        made(mx.ones((size,)))
    assert len(made._calls.kept) <= 3


def test_a_transformation_is_heard_before_the_first_call(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[bool] = []
    monkeypatch.setattr(transforms, "install", lambda: heard.append(True))
    listen.cache_clear()
    elementwise("x * x")
    listen.cache_clear()
    assert heard == [True]


@pytest.mark.parametrize(("status", "times"), [(Status.TIMEOUT, 2), (Status.WRONG_RESULT, 1)])
def test_what_a_busy_machine_did_is_not_kept(
    monkeypatch: pytest.MonkeyPatch, status: Status, times: int
) -> None:
    made = elementwise("x * x", grad=False)
    judged: list[str] = []

    def evaluate(_: Judge, kernel: Kernel, op: Op, dtype: str, seed: int) -> Evaluation:
        judged.append(dtype)
        return Evaluation(
            kernel_hash=kernel.hash, op=op.name, dtype=dtype, device_id="cpu-here", status=status,
            diagnostics=(Diagnostic(stage="verify", message="no"),), seed=seed,
        )  # fmt: skip

    monkeypatch.setattr(Judge, "evaluate", evaluate)
    said = [made.verify(device="cpu").status for _ in range(2)]
    assert said == [status, status]
    assert len(judged) == times
    assert not list(made.file.parent.glob("*.part"))


@pytest.mark.slow
def test_what_the_judge_said_is_kept() -> None:
    made = elementwise("where(x > y, x * y, x + rate)", ("x", "y"), {"rate": 0.5})
    first = made.verify()
    assert first.status.passed, first.why
    assert elementwise("where(x > y, x * y, x + rate)", ("x", "y"), {"rate": 0.5}).verify() == first


@pytest.mark.slow
@pytest.mark.parametrize(
    "made",
    [
        lambda: elementwise(MISH),
        lambda: elementwise("x * sigmoid(1.702 * x)"),
        lambda: elementwise("minimum(maximum(x, -1), 1) * abs(y)", ("x", "y")),
        lambda: rowwise("exp(x - max(x)) / sum(exp(x - max(x)))"),
        lambda: rowwise("x * rsqrt(mean(x * x) + eps)", params={"eps": 1e-5}),
        lambda: map_reduce("x * y", "sum", ("x", "y")),
    ],
)
def test_the_judge_proves_what_is_authored(made: object) -> None:
    function = made()  # type: ignore[operator]
    for dtype in ("float32", "float16", "bfloat16"):
        found = function.verify(dtype)
        assert found.status.passed, found.why
    assert all(e.status.passed for e in function.evaluations.values()), function.evaluations


def test_a_gradient_of_ones_own_holds_where_the_expression_answers() -> None:
    """MLX's gradient of a step is 0; a straight-through one is not, on whatever machine."""
    step = elementwise("where(x > y, 1, 0)", ("x", "y"), grad={"y": "0 - dout", "x": "2 * dout"})
    given, row = x(), mx.array([0.5])
    both = mx.grad(lambda a, b: step(a, b).sum(), argnums=(0, 1))
    for found in (both, mx.compile(both)):
        by_x, by_row = found(given, row)
        assert by_x.tolist() == mx.full(given.shape, 2.0).tolist()
        assert by_row.tolist() == [-given.size]
    batched = mx.vmap(mx.grad(lambda v: step(v, row).sum()))(given)
    assert batched.tolist() == mx.full(given.shape, 2.0).tolist()
    assert mx.compile(lambda v: step(v, row), shapeless=True)(given).shape == given.shape
    half = mx.grad(lambda v: step(v, row).sum())(given.astype(mx.float16))
    assert half.dtype == mx.float16


def test_a_gradient_of_ones_own_is_taken_and_a_wrong_one_is_found() -> None:
    square = elementwise("x * x", grad={"x": "2 * x * dout"})
    assert mx.allclose(mx.grad(lambda v: square(v).sum())(x()), 2 * x()).item()
    with pytest.raises(UsageError, match="an expression for each of x"):
        elementwise("x * x", grad={"y": "dout"})
    with pytest.raises(UsageError, match="grad needs an expression for each of x"):
        elementwise("x * x", grad={})


def test_functions_of_elements_take_what_goes_together() -> None:
    product = elementwise("x * y + x", ("x", "y"))
    row, column = mx.arange(5.0), mx.arange(3.0)[:, None]
    for other in (row, column, x()[:1], 2.0, 3, mx.array(2.0), x().tolist()):
        want = x() * mx.array(other) + x()
        assert mx.allclose(product(x(), other), want, 1e-6, 1e-6).item()
        assert product(x(), other).shape == want.shape
    by_row = mx.grad(lambda v: product(x(), v).sum())(row)
    assert mx.allclose(by_row, x().sum((0, 1)), 1e-5, 1e-5).item()
    half = product(x().astype(mx.float16), 2.0)
    assert half.dtype == mx.float16
    with pytest.raises(ValueError, match="broadcast"):
        product(x(), mx.zeros((4,)))
    with pytest.raises(ValueError, match="one array for each of x, y, not 1"):
        product(x())


def test_arrays_without_dimensions_or_elements() -> None:
    square = elementwise("x * x")
    assert square(mx.array(3.0)).shape == ()
    assert square(3.0).item() == 9.0
    assert mx.grad(square)(mx.array(3.0)).item() == 6.0
    for shape in ((0,), (0, 4), (3, 0), (2, 0, 4)):
        assert square(mx.zeros(shape)).shape == shape
        assert rowwise("x - mean(x)")(mx.zeros(shape)).shape == shape
    assert map_reduce("x", "sum")(mx.zeros((3, 0))).tolist() == [0.0] * 3
    assert map_reduce("x", "max")(mx.zeros((0, 3))).shape == (0,)
    with pytest.raises(ValueError):
        map_reduce("x", "max")(mx.zeros((3, 0)))


@pytest.mark.parametrize("dtype", [mx.int32, mx.uint8, mx.bool_, mx.complex64])
def test_other_element_types_are_refused_in_a_sentence(dtype: mx.Dtype) -> None:
    with pytest.raises(ValueError, match="give float32, float16 or bfloat16"):
        elementwise("x * x")(mx.zeros((2, 3)).astype(dtype))


def test_what_lies_in_strides_is_computed_as_any_other() -> None:
    product = elementwise("x * y", ("x", "y"))
    turned, apart = x().swapaxes(0, 2), mx.broadcast_to(mx.arange(2.0), (5, 3, 2))
    assert mx.allclose(product(turned, apart), turned * apart).item()
    assert mx.allclose(rowwise("x / sum(x)")(turned), turned / turned.sum(-1, keepdims=True)).item()


def test_gradients_of_products_by_every_argument() -> None:
    made = elementwise("x * y * z", ("x", "y", "z"))
    given = [x() + at for at in range(3)]
    got = mx.grad(lambda *a: made(*a).square().sum(), argnums=(0, 1, 2))(*given)
    want = mx.grad(lambda a, b, c: (a * b * c).square().sum(), argnums=(0, 1, 2))(*given)
    for one, other in zip(got, want, strict=True):
        assert mx.allclose(one, other, 1e-5, 1e-5).item()


def test_a_gradient_is_what_mlx_finds_at_corners_too() -> None:
    at = mx.array([-1.0, 0.0, 2.0])
    for text, mlx in (("abs(x)", mx.abs), ("maximum(x, 0)", lambda v: mx.maximum(v, 0.0))):
        made = elementwise(text)
        source = read(made.authored.gradients["x"], ("x", "dout"))  # type: ignore[index]
        values = {"x": np.array(at), "dout": 1.0, "numpy": np}
        own = np.asarray(eval(written(source, "numpy"), values)) * np.ones(3)
        assert own.tolist() == mx.grad(lambda v, f=mlx: f(v).sum())(at).tolist()


TERMS = st.recursive(
    st.sampled_from(["x", "y", "2", "0.5"]),
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*"), inner),
        st.builds("{}({})".format, st.sampled_from(["tanh", "sin", "sigmoid", "square"]), inner),
        st.builds("{}({}, {})".format, st.sampled_from(["maximum", "minimum"]), inner, inner),
    ),
    max_leaves=6,
)


@settings(max_examples=25, deadline=None)
@given(TERMS)
def test_a_derivative_is_what_differences_say(text: str) -> None:
    tree = read(text, ("x", "y"))
    values = {"x": np.float64(0.37), "y": np.float64(-0.81), "numpy": np}
    step = 1e-6

    def at(moved: float) -> float:
        return float(eval(written(tree, "numpy"), {**values, "x": values["x"] + moved}))

    found = float(eval(written(derivative(tree, "x"), "numpy"), dict(values)))
    assert found == pytest.approx((at(step) - at(-step)) / (2 * step), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x +", "is no expression"),
        ("z * x", "'z' is no input and no parameter; there are x"),
        ("__import__('os')", "no function '__import__'"),
        ("x.T", "may not stand in an expression"),
        ("x ** y", "may not stand"),
        ("x ** 0.5", "a power is a whole number from 1 to 8"),
        ("x ** 99", "a power is 1 to 8, not 99"),
        ("((((x ** 8) ** 8) ** 8) ** 8) ** 8", "steps, powers and functions undone"),
        ("square(" * 40 + "x" + ")" * 40, "steps, powers and functions undone"),
        ("softplus(" * 40 + "x" + ")" * 40, "steps, powers and functions undone"),
        ("log(1 + exp(" * 30 + "x" + "))" * 30, "steps, powers and functions undone"),
        ("+".join(["x"] * 400), "nested more than 100 deep"),
        ("x * 1e39", "beyond what float32 holds"),
        (f"x * {math.nextafter(FLOAT32_MAX, math.inf)!r}", "beyond what float32 holds"),
        ("x * 1" + "0" * 400, "beyond what float32 holds"),
        ("exp(x, x)", "exp takes 1 arguments, not 2"),
        ("sum(x)", "no function 'sum' of elements"),
        ("lambda: x", "may not stand"),
        ("'x'", "may not stand"),
        ("True", "may not stand"),
        ("(" * 300 + "x" + ")" * 300, "is no expression"),
        ("x" * 3000, "at most 2000 characters"),
    ],
)
def test_what_is_no_expression_is_refused_in_one_sentence(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        elementwise(text)
    assert said in str(caught.value)


def test_the_largest_float32_may_stand() -> None:
    assert float(np.finfo(np.float32).max) == FLOAT32_MAX
    made = elementwise(f"minimum(x, {FLOAT32_MAX!r})")
    assert made(x()).tolist() == x().tolist()


def test_how_deep_a_derivative_may_be_is_told_as_it_is() -> None:
    assert written(read_derivative("+".join(["x"] * 150), ("x",)), "metal")
    with pytest.raises(UsageError, match="nested more than 200 deep"):
        read_derivative("+".join(["x"] * 400), ("x",))


NO_NAMES = (
    "exp p0 row 1a count value first lane shared numpy mx math dtype float kernel lambda in T out "
    "thread_position_in_grid PER_THREAD log_one_plus x_shape __x dx dout \u03b1"
)


@pytest.mark.parametrize("inputs", [(), ("x", "x"), *(("x", n) for n in NO_NAMES.split())])
def test_names_that_mean_something_else_are_refused(inputs: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        elementwise("x", inputs)


@pytest.mark.parametrize("name", ["a", "b", "x", "gate", "up", "weight", "bias", "alpha", "logits"])
def test_names_that_people_use_are_taken(name: str) -> None:
    for made in (elementwise(f"{name} * 2", (name,)), rowwise(f"{name} - mean({name})", (name,))):
        assert f"{name}_shape[" in made.metal
        assert "x_shape" not in made.metal or name == "x"


@pytest.mark.parametrize("given", [float("nan"), float("inf"), True, "1", None, 1e39, 1j])
def test_a_parameter_is_a_number_that_kernels_hold(given: object) -> None:
    with pytest.raises(UsageError, match="parameter 'rate' is"):
        elementwise("x * rate", params={"rate": given})  # type: ignore[dict-item]


def test_a_whole_number_is_a_number_as_others_are() -> None:
    made = elementwise("maximum(x, rate) / rate", params={"rate": 2})
    assert made(mx.array([1.0, 3.0])).tolist() == [1.0, 1.5]
    assert "float rate" in made.metal


def test_a_long_expression_has_a_gradient_too() -> None:
    made = elementwise(" + ".join(["tanh(x * y) * sigmoid(x - y)"] * 18), ("x", "y"))
    assert made.authored.gradients is not None
    assert max(map(len, made.authored.gradients.values())) > 2000
    assert made(x(), x()).shape == x().shape
    assert elementwise("+".join(["x"] * 100))(x()).shape == x().shape


def test_where_an_input_lies_must_be_known() -> None:
    with pytest.raises(UsageError, match=r"write weight, weight\[cols\] or weight\[rows\]"):
        rowwise("x * weight", ("x", "weight[heads]"))
    with pytest.raises(UsageError, match="the first input has rows and columns"):
        rowwise("weight", ("weight[cols]",))
    with pytest.raises(UsageError, match="give sum, mean, max or min"):
        map_reduce("x", "product")  # type: ignore[arg-type]
