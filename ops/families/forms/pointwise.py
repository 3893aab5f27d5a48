"""The form of pointwise ops: one output element from one element of every input.

`elementwise` makes an op of one input, `binary` of two, `gradient` the backward op of either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from ops.axis import axes
from ops.baselines import Baseline
from ops.declaring.cases import (
    ROWS_HIDDEN,
    ROWS_VISIBLE,
    Values,
    defaults,
    labelled,
    ranges_of,
    shown,
    unshown,
)
from ops.declaring.members import Formula, oracle, stepwise
from ops.fills import Fill
from ops.parameters import Range
from ops.spec import Nonfinite, Op
from ops.workload import Tensor

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
    wide: Sequence[str] = (),
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
        wide: Names of outputs that are float32 whatever the element type is.
    """
    said = " and ".join(f"{output} = {value}" for output, value in outputs.items())
    return Op(
        name=name,
        family=family,
        formula=formula or f"Element by element: {said}.",
        axes=axes("rows cols"),
        inputs=inputs,
        outputs=tuple(
            Tensor(each, ("rows", "cols"), "float32") if each in wide else elements(each)
            for each in outputs
        ),
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
