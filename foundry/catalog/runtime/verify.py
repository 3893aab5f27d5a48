"""Checks every kernel of this package that this machine can run, and the fallback of every op.

A kernel passes when its error against the baseline in float32 stays within ten times the error
of the baseline in the kernel's own dtype, plus one rounding step; selections must be equal.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import mlx.core as mx

from .dispatch import Call, Function, chip, dtype_of, value

EPSILON = {"float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}


@dataclass(frozen=True)
class Check:
    """One kernel, or one op's fallback, on one workload."""

    op: str
    path: str
    dtype: str
    axes: Mapping[str, int]
    passed: bool
    detail: str


def checks(functions: Mapping[str, Function]) -> Iterator[Check]:
    """Run everything that can run here."""
    for name, function in functions.items():
        cases = function.op["cases"]
        for dtype in function.op["dtypes"]:
            yield _fallback(name, function, cases[0], dtype)
        if chip() is None:
            continue
        for kernel in function.op["kernels"]:
            for case in cases:
                yield _kernel(name, function, kernel, case)


def summary(done: list[Check], functions: Mapping[str, Function]) -> dict[str, Any]:
    """Counts and, honestly, what could not be tested here."""
    kernels = sum(len(f.op["kernels"]) for f in functions.values())
    tested = {(c.op, c.path) for c in done if c.path != "baseline"}
    untested = [] if chip() else [f"{kernels} kernels: Metal is not available on this machine"]
    return {
        "checks": len(done),
        "failed": [asdict(c) for c in done if not c.passed],
        "kernels": kernels,
        "kernels_tested": len(tested),
        "not_tested": [*untested, "gradients: they come from the baseline"],
    }


def _call(function: Function, case: Mapping[str, Any], dtype: str) -> Call:
    key = mx.random.key(int.from_bytes(os.urandom(4), "little"))
    arrays = []
    for tensor in function.op["inputs"]:
        key, part = mx.random.split(key)
        shape = [value(d, case["axes"]) for d in tensor["shape"]]
        arrays.append(_array(tensor, shape, dtype, case["axes"], part))
    params = {**function.op["params"], **case["params"]}
    return Call(tuple(arrays), dict(case["axes"]), params, None, dtype)


def _array(
    tensor: Mapping[str, Any], shape: list[int], dtype: str, axes: Mapping[str, int], key: mx.array
) -> mx.array:
    target = dtype_of(dtype if tensor["dtype"] == "T" else tensor["dtype"])
    fill = tensor["fill"]
    if "below" in fill:
        limit = value(fill["below"], axes)
        return mx.random.randint(0, max(limit, 1), shape, key=key).astype(target)
    low, high = fill.get("low"), fill.get("high")
    if low is not None or high is not None:
        low = high - 1.0 if low is None else low
        high = low + 1.0 if high is None else high
        return mx.random.uniform(low, high, shape, key=key).astype(target)
    return mx.random.normal(shape, key=key).astype(target)


def _kernel(
    name: str, function: Function, kernel: Mapping[str, Any], case: Mapping[str, Any]
) -> Check:
    call = _call(function, case, kernel["dtype"])
    outputs = function.run(kernel, call)
    detail = _difference(function, call, outputs)
    return Check(name, kernel["hash"][:12], call.dtype, call.axes, not detail, detail)


def _fallback(name: str, function: Function, case: Mapping[str, Any], dtype: str) -> Check:
    call = _call(function, case, dtype)
    free = {k: v for k, v in call.axes.items() if k in function.op["free_axes"]}
    given = {**call.params, **free}
    results = function(call.arrays, given)
    outputs = results if isinstance(results, tuple) else (results,)
    detail = _difference(function, call, outputs)
    return Check(name, "baseline", dtype, call.axes, not detail, detail)


def _difference(function: Function, call: Call, outputs: tuple[mx.array, ...]) -> str:
    """Empty when every output is as it should be."""
    same = function.baseline(call)
    wide = function.baseline(_in_float32(function, call))
    rows = zip(function.op["outputs"], outputs, same, wide, strict=True)
    for tensor, got, narrow, reference in rows:
        if list(got.shape) != function.output_shape(tensor, call) or got.dtype != narrow.dtype:
            return f"{tensor['name']}: shape {got.shape} or dtype {got.dtype} is wrong"
        if got.size and tensor["match"] == "exact" and not mx.array_equal(got, narrow).item():
            return f"{tensor['name']}: differs from the baseline"
        if got.size and tensor["match"] == "close":
            bound = _bound(narrow, reference, call.dtype)
            worst = float(mx.max(mx.abs(got.astype(mx.float32) - reference) / bound).item())  # type: ignore[arg-type]
            if not worst <= 1.0:
                return f"{tensor['name']}: error is {worst:.3g} times its bound"
    return ""


def _bound(narrow: mx.array, reference: mx.array, dtype: str) -> mx.array:
    scale = mx.maximum(mx.max(mx.abs(reference)), 1e-30)
    own = mx.max(mx.abs(narrow.astype(mx.float32) - reference))
    return 10 * own + EPSILON[dtype] * (scale + mx.abs(reference))


def _in_float32(function: Function, call: Call) -> Call:
    tensors = function.op["inputs"]
    arrays = [
        a.astype(mx.float32) if t["dtype"] == "T" else a
        for t, a in zip(tensors, call.arrays, strict=True)
    ]
    return Call(tuple(arrays), call.axes, call.params, None, "float32")
