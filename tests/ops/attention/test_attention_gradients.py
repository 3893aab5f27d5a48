"""Gradients of attention: difference quotients of the forward oracles, and parts that compose."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

import ops
from ops.spec import Op
from ops.workload import Case, shape_of

GRADIENTS = tuple(
    op.name for op in ops.all_ops().values() if op.gradient_of.startswith("attention")
)
FEW, MANY = {"q_len": 3, "kv_len": 6}, {"q_len": 6, "kv_len": 3}
SEGMENTS = np.array([[0, 0, 1, -1, 1, 1], [0, 1, 1, 1, 1, -1]], np.int32)
"""Documents, and places of padding that see no key."""


def drawn(op: Op, sizes: dict[str, int]) -> tuple[dict[str, NDArray[Any]], Any]:
    """Inputs of a small workload whose masks hide something."""
    axes = {"batch": 2, "heads": 4, "kv_heads": 2, "head_dim": 4, **sizes}
    values = {"scale": 0.5, "window": 2, "cap": 2.0, "rate": 0.5, "furthest": 20, "one_way": True}
    params = {name: value for name, value in values.items() if name in op.params}
    workload = op.workload(Case(axes, params), "float32")
    rng = np.random.default_rng(1)
    inputs = {t.name: rng.normal(size=shape_of(t, workload)) for t in op.inputs}
    hops = rng.integers(0, 4, (2, sizes["kv_len"] ** 2))
    whole = {"segments": SEGMENTS, "hops": hops}
    return inputs | {n: x for n, x in whole.items() if n in inputs}, workload


@pytest.mark.parametrize("sizes", [FEW, MANY], ids=["more keys", "more queries"])
@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_follow_the_forward_oracle(name: str, sizes: dict[str, int]) -> None:
    backward = ops.get(name)
    forward = ops.get(backward.gradient_of)
    if sizes is MANY and "q_len <= kv_len" in forward.constraints:
        pytest.skip("its queries stand at a key")
    given, at = drawn(backward, sizes)
    inputs = {t.name: given[t.name] for t in forward.inputs}
    case = Case(at.axes, at.params)
    rng = np.random.default_rng(2)
    for tensor, gradient in zip(backward.outputs, backward.oracle(given, at), strict=True):
        key = tensor.name[1:]
        way = rng.normal(size=inputs[key].shape)
        above, below = (
            forward.oracle(
                {**inputs, key: inputs[key] + s * 1e-6 * way}, forward.workload(case, "float32")
            )[0]
            for s in (1, -1)
        )
        quotient = ((above - below) * given["dout"]).sum() / 2e-6
        assert_allclose((gradient * way).sum(), quotient, rtol=1e-5, atol=1e-8, err_msg=key)


def test_masks_of_these_gradients_are_all_there() -> None:
    kinds = (
        *("", "_full", "_sliding_window", "_document", "_table", "_upper_left", "_sequence_first"),
        *("_document_mean", "_sinks", "_softcap", "_twice", "_squared", "_wave", "_checkerboard"),
        *("_t5", "_graph", "_head_offset"),
    )
    assert {f"attention{kind}_vjp" for kind in kinds} <= set(GRADIENTS)


@pytest.mark.parametrize("kind", ["", "_sliding_window", "_document", "_softcap"])
def test_delta_then_both_kernels_give_the_whole_gradient(kind: str) -> None:
    vjp = ops.get(f"attention{kind}_vjp")
    given, at = drawn(vjp, FEW)
    case = Case(at.axes, at.params)
    qkv = {n: x for n, x in given.items() if n != "dout"}
    saving = ops.get(f"attention{kind}_lse")
    out, lse = saving.oracle(qkv, saving.workload(case, "float32"))
    delta_of = ops.get("attention_delta")
    sizes = {axis: at.axes[axis] for axis in delta_of.axis_names}
    outs = {"o": out, "dout": given["dout"]}
    (delta,) = delta_of.oracle(outs, delta_of.workload(Case(sizes), "float32"))
    parts = [ops.get(name) for name in (f"attention{kind}_dq", f"attention{kind}_dkdv")]
    saved = {**given, "lse": lse, "delta": delta}
    found = [g for part in parts for g in part.oracle(saved, part.workload(case, "float32"))]
    for gradient, wanted in zip(found, vjp.oracle(given, at), strict=True):
        assert_allclose(gradient, wanted, rtol=1e-9, atol=1e-12)


def test_the_layout_of_a_gradient_is_that_of_its_op() -> None:
    laid, plain = ops.get("attention_sequence_first_vjp"), ops.get("attention_vjp")
    given, at = drawn(laid, FEW)
    moved = {name: x.swapaxes(1, 2) for name, x in given.items()}
    for gradient, wanted in zip(laid.oracle(given, at), plain.oracle(moved, at), strict=True):
        assert_allclose(gradient.swapaxes(1, 2), wanted, rtol=1e-12)
