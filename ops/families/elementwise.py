"""Elementwise ops: one output element from one element of every input.

`elementwise` makes an op of one input, `binary` of two, `gradient` the backward op of either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from ops.axis import axes
from ops.baselines import Baseline
from ops.cases import (
    ROWS_HIDDEN,
    ROWS_VISIBLE,
    Values,
    defaults,
    labelled,
    ranges_of,
    shown,
    unshown,
)
from ops.fills import Fill, Real
from ops.formulas import (
    gelu_erf_by_the_book,
    gelu_tanh_by_the_book,
    log_one_plus_exp,
    logistic,
    normal_share,
)
from ops.formulas import gelu_tanh as gelu_of
from ops.members import Formula, oracle, stepwise
from ops.parameters import Range
from ops.spec import Nonfinite, Op, Tensor

BENCH = (
    labelled("rows cols", "smollm2-135m decode", 1, 1536),
    labelled("rows cols", "qwen3-0.6b decode", 1, 3072),
    labelled("rows cols", "llama-3.2-1b decode", 1, 8192),
    labelled("rows cols", "llama-3.2-1b decode, batch 8", 8, 8192),
    labelled("rows cols", "smollm2-135m prefill 128", 128, 1536),
    labelled("rows cols", "qwen3-0.6b prefill 512", 512, 3072),
    labelled("rows cols", "llama-3.2-1b prefill 512", 512, 8192),
)
"""Feed-forward activations: one row a token, `cols` the width of the feed-forward layer."""
NONE: Mapping[str, Values] = MappingProxyType({})
NO_RANGES: Mapping[str, Range] = MappingProxyType({})


def elements(name: str, fill: Fill | None = None) -> Tensor:
    """A tensor of rows and columns in the element type."""
    return Tensor(name, ("rows", "cols"), fill=fill)


def pointwise(
    name: str,
    family: str,
    inputs: tuple[Tensor, ...],
    outputs: Mapping[str, str],
    *,
    np: Formula,
    mlx: str,
    flops: int,
    helpers: str = "",
    params: Mapping[str, Values] = NONE,
    ranges: Mapping[str, Range] = NO_RANGES,
    formula: str = "",
    gradient_of: str = "",
    steps: Formula | None = None,
    nonfinite: Nonfinite = "undefined",
) -> Op:
    """An op whose outputs each come from the elements of the inputs at the same place.

    Args:
        name: Name of the op.
        family: Its family.
        inputs: Tensors of `rows` and `cols`, as `elements` makes them.
        outputs: Metal expression of each output, over inputs and parameters as floats.
        np: float64 formula of inputs and parameters; a tuple where there are several outputs.
        mlx: The same as MLX text.
        flops: FLOPs of one element.
        helpers: Metal functions that the expressions call.
        params: Parameters: the default, or all values that cases take.
        ranges: Which values those that are numbers take, where cases do not show it.
        formula: The mathematics for a proposer; empty: the Metal expressions.
        gradient_of: Name of the forward op.
        steps: The formula as textbooks have it, where that cancels and `np` does not.
        nonfinite: What comes of NaN and infinities; see `Op`.
    """
    said = " and ".join(f"{output} = {value}" for output, value in outputs.items())
    return Op(
        name=name,
        family=family,
        formula=formula or f"Element by element: {said}.",
        axes=axes("rows cols"),
        inputs=inputs,
        outputs=tuple(map(elements, outputs)),
        params=defaults(params),
        ranges={**ranges_of(params), **ranges},
        oracle=oracle(np, [tensor.name for tensor in inputs]),
        steps=stepwise(steps, [tensor.name for tensor in inputs]) if steps else None,
        baselines={"plain": mlx, "compiled": Baseline(mlx, compiled=True)},
        flops=f"rows * cols * {flops}",
        visible=shown(ROWS_VISIBLE, params),
        hidden=unshown(ROWS_HIDDEN, params),
        bench=BENCH,
        metal={"outputs": dict(outputs), "helpers": helpers},
        gradient_of=gradient_of,
        nonfinite=nonfinite,
    )


def elementwise(
    name: str,
    *,
    np: Formula,
    mlx: str,
    metal: str,
    flops: int,
    fill: Fill | None = None,
    helpers: str = "",
    params: Mapping[str, Values] = NONE,
    ranges: Mapping[str, Range] = NO_RANGES,
    formula: str = "",
    steps: Formula | None = None,
    nonfinite: Nonfinite = "undefined",
) -> Op:
    """An op of one input `x` and one output `out`: `out = f(x)`.

    Args:
        name: Name of the op.
        np: float64 formula, such as `lambda x, alpha: ...`.
        mlx: The same as MLX text over `x` and the parameters.
        metal: Metal expression over the float `x` and the parameters.
        flops: FLOPs of one element: 4 per transcendental function.
        fill: What `x` holds; None: every value.
        helpers: Metal functions that `metal` calls.
        params: Parameters: the default, or all values that cases take.
        ranges: Which values those that are numbers take, where cases do not show it.
        formula: The mathematics for a proposer; empty: the Metal expression.
        steps: The formula as textbooks have it, where that cancels and `np` does not.
        nonfinite: What comes of NaN and infinities; see `Op`.
    """
    return pointwise(
        name,
        "elementwise",
        (elements("x", fill),),
        {"out": metal},
        np=np,
        mlx=mlx,
        flops=flops,
        helpers=helpers,
        params=params,
        ranges=ranges,
        formula=formula,
        steps=steps,
        nonfinite=nonfinite,
    )


def binary(
    name: str,
    *,
    np: Formula,
    mlx: str,
    metal: str,
    flops: int,
    helpers: str = "",
    params: Mapping[str, Values] = NONE,
    ranges: Mapping[str, Range] = NO_RANGES,
    formula: str = "",
    nonfinite: Nonfinite = "undefined",
) -> Op:
    """An op of two inputs `x` and `y` and one output `out`: `out = f(x, y)`; see `elementwise`."""
    return pointwise(
        name,
        "elementwise",
        (elements("x"), elements("y")),
        {"out": metal},
        np=np,
        mlx=mlx,
        flops=flops,
        helpers=helpers,
        params=params,
        ranges=ranges,
        formula=formula,
        nonfinite=nonfinite,
    )


def gradient(
    forward: Op,
    *,
    np: Formula,
    mlx: str,
    metal: str | Mapping[str, str],
    flops: int,
    helpers: str = "",
    formula: str = "",
) -> Op:
    """The backward op of a pointwise op: `relu2` gives `relu2_vjp`.

    Its inputs are those of the forward op and `dout`, the gradient of `out`; its outputs are the
    gradients of those inputs, as `dx`.

    Args:
        forward: The forward op.
        np: float64 formula, such as `lambda x, dout: ...`; a tuple where there are several outputs.
        mlx: The same as MLX text.
        metal: Metal expression, or one by the name of every output.
        flops: FLOPs of one element.
        helpers: Metal functions that `metal` calls.
        formula: The mathematics for a proposer; empty: the Metal expression.
    """
    outputs = {f"d{forward.inputs[0].name}": metal} if isinstance(metal, str) else metal
    found = pointwise(
        f"{forward.name}_vjp",
        forward.family,
        (*forward.inputs, elements("dout")),
        outputs,
        np=np,
        mlx=mlx,
        flops=flops,
        helpers=helpers,
        formula=formula,
        gradient_of=forward.name,
    )
    return replace(
        found,
        params=forward.params,
        ranges=forward.ranges,
        visible=forward.visible,
        hidden=forward.hidden,
    )


LOG_ONE_PLUS = """
// log(1 + v) for v from 0 to 1, as 2 atanh(v / (2 + v)): the sum 1 + v would lose what v holds.
inline float log_one_plus(float v) {
  const float s = v / (2.0f + v);
  const float t = s * s;
  float sum = 1.0f / 15.0f;
  for (int n = 13; n > 0; n -= 2) {
    sum = sum * t + 1.0f / float(n);
  }
  return 2.0f * s * sum;
}
"""
NORMAL_SHARE = """
// The share of a normal distribution below v: Chebyshev fit of erfc, to 1.2e-7 of its value.
inline float normal_share(float v) {
  const float z = abs(v) * 0.70710678f;
  const float t = 1.0f / (1.0f + 0.5f * z);
  float sum = 0.17087277f;
  sum = sum * t - 0.82215223f;
  sum = sum * t + 1.48851587f;
  sum = sum * t - 1.13520398f;
  sum = sum * t + 0.27886807f;
  sum = sum * t - 0.18628806f;
  sum = sum * t + 0.09678418f;
  sum = sum * t + 0.37409196f;
  sum = sum * t + 1.00002368f;
  sum = sum * t - 1.26551223f;
  const float tail = 0.5f * t * exp(sum - z * z);
  return v > 0.0f ? 1.0f - tail : tail;
}
"""
MISH = """
// tanh(log(1 + exp(x))) with t = exp(-|x|), which neither overflows nor cancels.
inline float mish_gate(float x) {
  const float t = exp(-abs(x));
  const float up = x > 0.0f ? 1.0f + 2.0f * t : t * (t + 2.0f);
  return up / (up + (x > 0.0f ? 2.0f * t * t : 2.0f));
}
"""
EXP_LESS_ONE = """
// exp(x) - 1 for x up to 0, by tanh: the difference would lose what a small x holds.
inline float exp_less_one(float x) {
  const float t = tanh(0.5f * x);
  return 2.0f * t / (1.0f - t);
}
"""

silu = elementwise(
    "silu",
    np=lambda x: x * logistic(x),
    mlx="x * mx.sigmoid(x)",  # compiled it is mlx.nn.silu
    metal="x / (1.0f + exp(-x))",
    flops=6,
    formula="out[r, c] = x[r, c] * sigmoid(x[r, c]), where sigmoid(v) = 1 / (1 + exp(-v)). "
    "Finite for every finite x: large negative x gives 0, large positive x gives x.",
    nonfinite="propagate",
)
exp = elementwise("exp", np=np.exp, mlx="mx.exp(x)", metal="exp(x)", flops=4, nonfinite="propagate")
log = elementwise(
    "log", np=np.log, mlx="mx.log(x)", metal="log(x)", flops=4, fill=Real(low=2.0**-10)
)
tanh = elementwise(
    "tanh", np=np.tanh, mlx="mx.tanh(x)", metal="tanh(x)", flops=4, nonfinite="propagate"
)
sigmoid = elementwise(
    "sigmoid",
    np=logistic,
    mlx="mx.sigmoid(x)",
    metal="1.0f / (1.0f + exp(-x))",
    flops=6,
    nonfinite="propagate",
)
relu = elementwise(
    "relu",
    np=lambda x: np.maximum(x, 0.0),
    mlx="mx.maximum(x, 0)",
    metal="max(x, 0.0f)",
    flops=1,
)
relu2 = elementwise(
    "relu2",
    np=lambda x: np.square(np.maximum(x, 0.0)),
    mlx="mx.square(mx.maximum(x, 0))",
    metal="max(x, 0.0f) * max(x, 0.0f)",
    flops=3,
)
gelu_tanh = elementwise(
    "gelu_tanh",
    np=gelu_of,
    steps=gelu_tanh_by_the_book,
    mlx="x * mx.sigmoid(math.sqrt(8 / math.pi) * (x + 0.044715 * x**3))",
    metal="x / (1.0f + exp(-1.59576912f * (x + 0.044715f * x * x * x)))",
    flops=12,
    formula="out = 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), the approximate GELU. "
    "Where 1 + tanh cancels, x / (1 + exp(-2 u)) does not.",
    nonfinite="propagate",
)
gelu_erf = elementwise(
    "gelu_erf",
    np=lambda x: x * normal_share(x),
    steps=gelu_erf_by_the_book,
    mlx="x * (1 + mx.erf(x / math.sqrt(2))) / 2",
    metal="x * normal_share(x)",
    helpers=NORMAL_SHARE,
    flops=30,
    formula="out = 0.5 x (1 + erf(x / sqrt(2))), the exact GELU. Metal has no erf.",
    nonfinite="propagate",
)
quick_gelu = elementwise(
    "quick_gelu",
    np=lambda x: x * logistic(1.702 * x),
    mlx="x * mx.sigmoid(1.702 * x)",
    metal="x / (1.0f + exp(-1.702f * x))",
    flops=7,
    nonfinite="propagate",
)
softplus = elementwise(
    "softplus",
    np=log_one_plus_exp,
    mlx="mx.logaddexp(x, mx.array(0, dtype=dtype))",
    metal="max(x, 0.0f) + log_one_plus(exp(-abs(x)))",
    helpers=LOG_ONE_PLUS,
    flops=10,
    formula="out = log(1 + exp(x)). Finite for every finite x.",
)
mish = elementwise(
    "mish",
    np=lambda x: x * np.tanh(log_one_plus_exp(x)),
    mlx="x * mx.tanh(mx.logaddexp(x, mx.array(0, dtype=dtype)))",
    metal="x * mish_gate(x)",
    helpers=MISH,
    flops=14,
    formula="out = x tanh(log(1 + exp(x))). Finite for every finite x.",
)
elu = elementwise(
    "elu",
    np=lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0))),
    mlx="mx.where(x > 0, x, (alpha * mx.expm1(x)).astype(dtype))",
    metal="x > 0.0f ? x : alpha * exp_less_one(x)",
    helpers=EXP_LESS_ONE,
    params={"alpha": 1.0},
    ranges={"alpha": Range(-2.0, 2.0, usual=(0.0, 1.0))},
    flops=7,
    formula="out = x where x > 0, and alpha (exp(x) - 1) elsewhere.",
)
hard_sigmoid = elementwise(
    "hard_sigmoid",
    np=lambda x: np.clip((x + 3.0) / 6.0, 0.0, 1.0),
    mlx="mx.clip((x + 3) / 6, 0, 1)",
    metal="clamp((x + 3.0f) / 6.0f, 0.0f, 1.0f)",
    flops=4,
)
hard_swish = elementwise(
    "hard_swish",
    np=lambda x: x * np.clip((x + 3.0) / 6.0, 0.0, 1.0),
    mlx="x * mx.clip((x + 3) / 6, 0, 1)",
    metal="x * clamp((x + 3.0f) / 6.0f, 0.0f, 1.0f)",
    flops=5,
)
add = binary("add", np=np.add, mlx="x + y", metal="x + y", flops=1, nonfinite="propagate")
mul = binary("mul", np=np.multiply, mlx="x * y", metal="x * y", flops=1, nonfinite="propagate")
add_scale = binary(
    "add_scale",
    np=lambda x, y, alpha: x + alpha * y,
    mlx="x + (alpha * y).astype(dtype)",
    metal="x + alpha * y",
    params={"alpha": 0.5},
    ranges={"alpha": Range(-4.0, 4.0, usual=(0.0, 1.0))},
    flops=2,
    nonfinite="propagate",
)
relu2_vjp = gradient(
    relu2,
    np=lambda x, dout: 2.0 * dout * np.maximum(x, 0.0),
    mlx="2 * dout * mx.maximum(x, 0)",
    metal="2.0f * dout * max(x, 0.0f)",
    flops=3,
)
