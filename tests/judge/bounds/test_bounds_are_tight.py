"""Zeros, one-pass variances and sums carried in T lie outside of the bounds, wherever they are off.

A right kernel sums in float32 and rounds once, so that an answer which is further from the oracle
than a few units of T is no right one, whatever the inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from foundry.harness.measuring.baseline import BaselineCall
from foundry.judge.matching import Within
from foundry.judge.oracle.bounds import EPSILON
from foundry.judge.oracle.draws.distributions import DISTRIBUTIONS
from foundry.judge.oracle.expecting import expected
from foundry.judge.oracle.inputs import applicable, make_inputs
from foundry.program import Arrays
from ops import registry
from ops.dtypes import numpy_dtype
from ops.workload import Case, Workload

Array = NDArray[Any]


def heads(*sizes: int) -> dict[str, int]:
    names = ("heads", "kv_heads", "q_len", "kv_len", "head_dim")
    return {"batch": 1, **dict(zip(names, sizes, strict=True))}


SIZES: dict[str, dict[str, int]] = {
    "silu": {"rows": 9, "cols": 130},
    "swiglu": {"rows": 9, "cols": 130},
    "softmax": {"rows": 9, "cols": 700},
    "rms_norm": {"rows": 9, "cols": 577},
    "layer_norm": {"rows": 40, "cols": 577},
    "cumsum": {"rows": 3, "cols": 2049},
    "matmul": {"m": 9, "n": 17, "k": 513},
    "rope": {"batch": 1, "heads": 3, "seq": 65, "head_dim": 64},
    "attention": heads(4, 2, 33, 97, 64),
}
MANY_KEYS = heads(2, 1, 3, 900, 32)
DTYPES = ("float32", "float16", "bfloat16")


def drawn(
    op_name: str, dtype: str, sizes: dict[str, int] | None = None
) -> Iterator[tuple[str, Workload, Arrays, Within, Within]]:
    """Every distribution with its inputs and what is expected, without a baseline and with it."""
    op = registry.get(op_name)
    workload = op.workload(Case(sizes or SIZES[op_name]), dtype)
    for name in applicable(op, tuple(DISTRIBUTIONS)):
        inputs = make_inputs(op, workload, name, 11)
        tensors = {t.name: inputs[t.name] for t in op.inputs}
        call = BaselineCall(op, workload, next(iter(op.baselines)), tensors)
        call()
        found = (
            expected(op, workload, inputs, baseline, np.random.default_rng(5))[0]
            for baseline in ({}, call.outputs())
        )
        alone, beside = found
        assert isinstance(alone, Within)
        assert isinstance(beside, Within)
        yield name, workload, inputs, alone, beside


def row_largest(value: Array) -> Array:
    largest: Array = np.abs(value).max(axis=-1, keepdims=True)
    return largest


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", SIZES)
def test_zeros_fail_wherever_the_oracle_is_not_small(op: str, dtype: str) -> None:
    for name, _, inputs, alone, beside in drawn(op, dtype):
        size, largest = np.abs(alone.value), row_largest(alone.value)
        counts = size > 2.0**-20  # below, half precision has few digits left
        small = max(64 * EPSILON[dtype], 2.0**-9)
        if op == "layer_norm":
            # Where all are equal, what is left of them is the error of the mean, and nothing else.
            x = inputs["x"].astype(np.float64)
            counts &= x.std(axis=-1, keepdims=True) > 2.0**-20 * row_largest(x)
            small = 0.25
        if op == "attention":
            # Where scores are huge, a unit of float32 decides which key wins.
            reach = [float(np.abs(inputs[n]).max()) for n in "qk"]
            counts &= reach[0] * reach[1] < 2.0**9
        assert (alone.bound < size)[(size > small * largest) & counts].all(), name
        assert (beside.bound < size)[(size > 0.6 * largest) & counts].all(), name


def one_by_one(terms: Array, kind: Any) -> Array:
    """Sums over the last axis, rounded after each addition."""
    total = np.zeros(terms.shape[:-1], kind)
    for column in range(terms.shape[-1]):
        total = (total.astype(np.float32) + terms[..., column].astype(np.float32)).astype(kind)
    return total[..., None].astype(np.float32)


def softmax(i: Arrays, kind: Any) -> Array:
    e = np.exp(i["x"] - i["x"].max(axis=-1, keepdims=True))
    return e / one_by_one(e, kind)


def rms_norm(i: Arrays, kind: Any) -> Array:
    mean = one_by_one(np.square(i["x"]), kind) / i["x"].shape[-1]
    return i["x"] / np.sqrt(mean + i["eps"]) * i["weight"]


def layer_norm(i: Arrays, kind: Any) -> Array:
    centred = i["x"] - one_by_one(i["x"], kind) / i["x"].shape[-1]
    variance = one_by_one(np.square(centred), kind) / i["x"].shape[-1]
    return centred / np.sqrt(variance + i["eps"]) * i["weight"] + i["bias"]


def cumsum(i: Arrays, kind: Any) -> Array:
    total, found = np.zeros(i["x"].shape[:-1], kind), np.empty_like(i["x"])
    for column in range(found.shape[-1]):
        total = (total.astype(np.float32) + i["x"][..., column]).astype(kind)
        found[..., column] = total
    return found


def matmul(i: Arrays, kind: Any) -> Array:
    return one_by_one(i["a"][:, None, :] * i["b"][None, :, :], kind)[..., 0]


def matmul_lanes(i: Arrays, kind: Any) -> Array:
    terms = i["a"][:, None, :] * i["b"][None, :, :]
    return sum(one_by_one(terms[..., lane::32], kind)[..., 0] for lane in range(32))


def attention(i: Arrays, kind: Any) -> Array:
    q, k, v = i["q"], np.repeat(i["k"], 2, axis=1), np.repeat(i["v"], 2, axis=1)
    scores = q @ k.swapaxes(-1, -2) * i["scale"]
    rows, columns = np.indices(scores.shape[-2:])
    scores = np.where(columns <= rows + columns.shape[1] - rows.shape[0], scores, -np.inf)
    p = np.exp(scores - scores.max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)
    return one_by_one(p[..., :, None, :] * v.swapaxes(-1, -2)[..., None, :, :], kind)[..., 0]


SUMS: dict[str, tuple[str, Callable[[Arrays, Any], Array]]] = {
    "softmax": ("softmax", softmax),
    "rms_norm": ("rms_norm", rms_norm),
    "layer_norm": ("layer_norm", layer_norm),
    "cumsum": ("cumsum", cumsum),
    "matmul": ("matmul", matmul),
    "matmul in 32 lanes": ("matmul", matmul_lanes),
    "attention": ("attention", attention),
}


def answered(kernel: Callable[[Arrays, Any], Array], inputs: Arrays, kind: Any) -> Array:
    with np.errstate(all="ignore"):
        return kernel({n: a.astype(np.float32) for n, a in inputs.items()}, kind)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", SUMS)
def test_sums_carried_in_t_fail_wherever_they_are_off(name: str, dtype: str) -> None:
    op, kernel = SUMS[name]
    kind = numpy_dtype(dtype)
    refused = 0
    sizes = MANY_KEYS if op == "attention" else SIZES[op]
    for distribution, _, inputs, alone, _ in drawn(op, dtype, sizes):
        with np.errstate(all="ignore"):
            right = answered(kernel, inputs, np.float32).astype(kind)
            wrong = answered(kernel, inputs, kind).astype(kind)
            error = np.abs(wrong.astype(np.float64) - alone.value)
        assert alone.compare(right).fault is None, distribution
        fits = np.abs(alone.value) < np.finfo(np.float16).max
        if (fits & (error > far(name, alone.value, dtype))).any():
            assert alone.compare(wrong).fault is not None, distribution
            refused += 1
    assert refused or name == "attention"


def far(name: str, oracle: Array, dtype: str) -> Array:
    """An error that no float32 sum has; attention may round its probabilities, too."""
    if name == "attention":
        return 16 * EPSILON[dtype] * row_largest(oracle) + 2.0**-20
    return 4 * EPSILON[dtype] * np.abs(oracle) + 2.0**-12 * row_largest(oracle) + 2.0**-20


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(3))
def test_sums_whose_additions_round_alike_pass(dtype: str, seed: int) -> None:
    """Deviations from a mean share their last digits, and sums of them drift on their way."""
    op = registry.get("layer_norm")
    workload = op.workload(Case({"rows": 8, "cols": 2048}), dtype)

    def corrected(i: Arrays, kind: Any) -> Array:
        count = np.float32(i["x"].shape[-1])
        d = i["x"] - one_by_one(i["x"], kind) / count
        drift = one_by_one(d, kind) / count
        # Of equal values the difference is below zero by what rounding took.
        variance = np.maximum(one_by_one(np.square(d), kind) / count - drift * drift, 0)
        return (d - drift) / np.sqrt(variance + i["eps"]) * i["weight"] + i["bias"]

    for name in applicable(op, tuple(DISTRIBUTIONS)):
        inputs = make_inputs(op, workload, name, seed)
        (want,) = expected(op, workload, inputs, {}, np.random.default_rng(seed))
        got = answered(corrected, inputs, np.float32).astype(numpy_dtype(dtype))
        assert want.compare(got).fault is None, name


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_pass_variances_fail_where_the_mean_is_large(dtype: str) -> None:
    def one_pass(i: Arrays, _: Any) -> Array:
        mean = i["x"].mean(axis=-1, keepdims=True, dtype=np.float32)
        variance = np.square(i["x"]).mean(axis=-1, keepdims=True, dtype=np.float32) - mean * mean
        return (i["x"] - mean) / np.sqrt(variance + i["eps"]) * i["weight"] + i["bias"]

    kind, refused = numpy_dtype(dtype), []
    for distribution, _, inputs, _, beside in drawn("layer_norm", dtype):
        wrong = answered(one_pass, inputs, None).astype(kind)
        if beside.compare(wrong).fault is not None:
            refused.append(distribution)
    assert "offset" in refused
