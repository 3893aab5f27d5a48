"""Calls of authored functions: the run-time of catalogs, without a package around it."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import mlx.core as mx

from foundry.catalog import fallbacks
from foundry.catalog.checks import Checks
from foundry.catalog.entry import CatalogEntry
from foundry.catalog.package import op_record
from foundry.catalog.runtime import transforms
from foundry.catalog.runtime.arguments import MatchedCall, Record, array_of, match
from foundry.catalog.runtime.bounds import unproven
from foundry.catalog.runtime.choice import is_of_one_dtype, never
from foundry.catalog.runtime.gradients import Backward
from foundry.catalog.runtime.running import (
    MOST_KEPT,
    Run,
    ShippedBaseline,
    with_kernel,
    without_kernels,
)
from foundry.judge.verdict import Evaluation
from foundry.kernel import Kernel
from foundry.program import Device
from ops.spec import Op

_HERE = Device("metal", "this machine")


@dataclass(frozen=True)
class AuthoredCalls:
    """An op with its proven kernels."""

    op: Record
    fallback: ShippedBaseline
    backward: AuthoredCalls | None = None
    has_own_rule: bool = False
    """Whether the gradient is the author's own: it holds by whatever way a call is answered."""
    kept: dict[Any, Run] = field(default_factory=dict)

    def __call__(self, arrays: Sequence[Any], numbers: Mapping[str, Any]) -> Any:
        """Run on arrays.

        Raises:
            ValueError: Arrays that do not fit.
        """
        call = match(self.op, arrays, numbers)
        looks = ((a.shape, a.dtype) for a in call.arrays if a is not None)
        state = (transforms.is_tracing_through(), transforms.is_bare())
        key = (state, never(self.op, call), *looks)
        run = self.kept.get(key)
        if run is None:
            if len(self.kept) >= MOST_KEPT:
                self.kept.clear()
            run = self.kept[key] = self._ready(call)
        outputs = run(*call.arrays)
        return outputs[0] if len(outputs) == 1 else outputs

    def kernel(
        self, arrays: Sequence[Any], numbers: Mapping[str, Any], *, exactly: bool
    ) -> Run | None:
        """The kernel for a call, None where none serves it; as `CatalogFunction.kernel`."""
        return self._by_kernel(match(self.op, arrays, numbers))

    def _ready(self, call: MatchedCall) -> Run:
        run = self._by_kernel(call) or without_kernels(self.op, self.fallback, call)
        if self.backward is None or not self.has_own_rule or transforms.is_bare():
            return run
        return _by_own_rule(run, self.backward, call.sizes.params)

    def _by_kernel(self, call: MatchedCall) -> Run | None:
        if never(self.op, call):
            return None
        gradient = None
        if self.backward is not None:
            gradient = Backward(self.backward.op, self.op, self.backward.kernel)
        if not is_of_one_dtype(self.op, call):
            return None
        for kernel in self.op["kernels"]:
            is_meant = kernel["dtype"] == call.sizes.dtype
            if is_meant and not unproven(self.op, kernel, call.sizes):
                return with_kernel(self.op, self.fallback, kernel, call, gradient)
        return None


def _by_own_rule(run: Run, backward: AuthoredCalls, numbers: Mapping[str, Any]) -> Run:
    """The same, its gradient computed by another op whatever MLX would make of it."""
    names = [tensor["name"] for tensor in backward.op["outputs"]]
    wanted = [f"d{tensor['name']}" for tensor in backward.op["inputs"][:-1]]

    def gradient(primals: Any, cotangents: Any, _: Any) -> Any:
        many = isinstance(primals, list | tuple)
        inputs = list(primals) if many else [primals]
        duals = list(cotangents) if isinstance(cotangents, list | tuple) else [cotangents]
        given = backward([*inputs, *duals], numbers)
        found = dict(zip(names, given if isinstance(given, list | tuple) else [given], strict=True))
        moved = [found[n].astype(a.dtype) for n, a in zip(wanted, inputs, strict=True)]
        return moved if many else moved[0]

    function: Any = mx.custom_function(run)
    function.vjp(gradient)
    ruled: Run = function
    return ruled


def of_elements(
    calls: AuthoredCalls, given: Mapping[str, Any], numbers: Mapping[str, Any]
) -> mx.array:
    """Call a function of elements with arrays of any shapes that go together, or with numbers.

    Raises:
        ValueError: Arrays that do not fit, or what is none; names it.
    """
    dtype = next((a.dtype for a in given.values() if isinstance(a, mx.array)), mx.float32)
    arrays = [
        mx.array(a, dtype) if isinstance(a, int | float) else array_of(name, a)
        for name, a in given.items()
    ]
    if any(a.shape != arrays[0].shape for a in arrays):
        arrays = list(mx.broadcast_arrays(*arrays))
    found: mx.array
    if arrays[0].ndim == 0:
        found = calls([a.reshape((1,)) for a in arrays], numbers).reshape(())
    else:
        found = calls(arrays, numbers)
    return found


def calls_of(
    ops: Sequence[Op], kernels: Sequence[Kernel], evaluations: Mapping[str, Evaluation]
) -> AuthoredCalls:
    """An op and, behind it, its gradient; kernels that were proven on a Metal device."""
    made = [
        _calls(op, kernel, [e for key, e in evaluations.items() if key.split()[0] == op.name])
        for op, kernel in zip(ops, kernels, strict=True)
    ]
    backward = made[1] if len(made) > 1 else None
    return AuthoredCalls(made[0].op, made[0].fallback, backward)


def _calls(op: Op, kernel: Kernel, evaluations: Sequence[Evaluation]) -> AuthoredCalls:
    passed = [
        CatalogEntry(op, kernel, e, _HERE)
        for e in evaluations
        if e.status.passed and e.device_id.startswith(f"{_HERE.kind}-")
    ]
    namespace: dict[str, Any] = {}
    exec(fallbacks.module([op]), namespace)  # the text is made here, of a checked expression
    # An expression says by itself what comes of nothing.
    record = {**op_record(op, passed, Checks([], {})), "over_nothing": "computed"}
    return AuthoredCalls(
        record, ShippedBaseline.of(record["fallback"], SimpleNamespace(**namespace))
    )


@functools.cache
def listen() -> None:
    """Hear of the transformations that cannot pass through a kernel; once."""
    transforms.install()
