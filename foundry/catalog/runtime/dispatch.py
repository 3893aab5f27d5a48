"""Calls the proven kernel where it is known to win, and the baseline everywhere else.

1. `arguments.match` holds the arguments to the op's axes; leading dimensions are folded.
2. `CatalogFunction.choose` says which kernel serves this dtype, chip and shape, or why none does.
3. The kernel runs launch by launch; gradients come from the baseline.

Set the environment variable that `DISPATCH_VARIABLE` names to `off` (always the baseline) or `all`
(every proven kernel, also where it was never timed).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import mlx.core as mx

from .arguments import Array, FoldedCall, dtype_in, dtype_of, match, shape_of, unfold, value

HERE = Path(__file__).parent
DISPATCH_VARIABLE = f"{HERE.name.upper()}_DISPATCH"
Axes = Mapping[str, int]


@dataclass(frozen=True)
class Dispatch:
    """Which path a call takes, and why."""

    kernel: Mapping[str, Any] | None
    why: str


@cache
def catalog() -> Mapping[str, Any]:
    """Everything this package knows: ops, kernels, records."""
    loaded: Mapping[str, Any] = json.loads((HERE / "catalog.json").read_text())
    return loaded


@cache
def chip() -> str | None:
    """Name of the Apple GPU, None without Metal."""
    if not mx.metal.is_available():
        return None
    return str(mx.device_info().get("device_name", "Apple GPU"))


@dataclass(frozen=True)
class CatalogFunction:
    """One op of the catalog as a callable."""

    op: Mapping[str, Any]
    fallback: Callable[..., Any]
    """Takes the arrays in the op's order and, by name, the numbers that its record lists."""

    def __call__(self, arrays: Sequence[Any], given: Mapping[str, Any]) -> Any:
        """Run on arrays, in the op's order of inputs.

        Raises:
            ValueError: Dimensions, sizes or dtypes that the op does not take.
        """
        call = match(self.op, arrays, given)
        kernel = self.choose(call).kernel
        outputs = (
            self.without_kernels(call)
            if kernel is None
            else self._unfolded(self._differentiable(kernel, call), call)
        )
        return outputs[0] if len(outputs) == 1 else outputs

    def without_kernels(self, call: FoldedCall) -> tuple[mx.array, ...]:
        """What a call gives where no kernel serves it."""
        if known := self._without_a_run(call):
            return known
        if self.op["fallback"]["folds"]:
            return self._unfolded(self.baseline(call), call)
        return self._fallback(call, call.given)

    @staticmethod
    def _unfolded(results: tuple[mx.array, ...], call: FoldedCall) -> tuple[mx.array, ...]:
        return tuple(unfold(result, call.lead) for result in results)

    def choose(self, call: FoldedCall) -> Dispatch:
        """The kernel for this call, or None and the reason."""
        mode = os.environ.get(DISPATCH_VARIABLE, "auto")
        if mode == "off":
            return Dispatch(None, f"{DISPATCH_VARIABLE}=off")
        if chip() is None:
            return Dispatch(None, "Metal is not available on this machine")
        if not all(a is None or a.size for a in call.arrays):
            return Dispatch(None, "an input is empty")
        if all(0 in shape_of(t, call) for t in self.op["outputs"]):
            return Dispatch(None, "every output is empty")
        why = f"no kernel for {call.dtype}"
        for kernel in self.op["kernels"]:
            if kernel["dtype"] == call.dtype and self._same_dtypes(call):
                reason = "" if mode == "all" else unfit(kernel, call.axes)
                if not reason:
                    return Dispatch(kernel, f"kernel {kernel['hash'][:12]}")
                why = reason
        return Dispatch(None, why)

    def run(self, kernel: Mapping[str, Any], call: FoldedCall) -> tuple[mx.array, ...]:
        """All launches of a kernel on Metal."""
        pairs = zip(self.op["inputs"], call.arrays, strict=True)
        arrays: dict[str, Any] = {t["name"]: _as_input(t, a, call) for t, a in pairs}
        arrays |= {k: _parameter(v, self.op["params"][k]) for k, v in call.params.items()}
        for index, launch in enumerate(kernel["launches"]):
            self._launch(kernel, launch, index, call, arrays)
        return tuple(arrays[t["name"]] for t in self.op["outputs"])

    def _launch(
        self,
        kernel: Mapping[str, Any],
        launch: Mapping[str, Any],
        index: int,
        call: FoldedCall,
        arrays: dict[str, Any],
    ) -> None:
        pairs = zip(self.op["inputs"], call.arrays, strict=True)
        flags = {t["flag"]: a is not None for t, a in pairs if t["flag"]}
        names = {**call.axes, **flags}
        template: list[tuple[str, Any]] = [(n, dtype_of(d)) for n, d in call.types.items()]
        template += flags.items()
        for name, expression in launch["constants"]:
            constant = expression if isinstance(expression, bool) else value(expression, names)
            names[name] = int(constant)
            template.append((name, constant))
        declared = {t["name"]: t for t in [*self.op["outputs"], *kernel["temporaries"]]}
        outputs = [declared[name] for name in launch["outputs"]]
        metal_kernel = _metal_kernel(kernel["hash"], index)
        results = metal_kernel(
            inputs=[arrays[name] for name in launch["inputs"]],
            template=template,
            grid=tuple(value(e, names) for e in launch["grid"]),
            threadgroup=tuple(value(e, names) for e in launch["threadgroup"]),
            output_shapes=[tuple(shape_of(t, call)) for t in outputs],
            output_dtypes=[dtype_in(t, call) for t in outputs],
            init_value=launch["init_value"],
        )
        arrays.update(zip(launch["outputs"], results, strict=True))

    def _differentiable(self, kernel: Mapping[str, Any], call: FoldedCall) -> tuple[mx.array, ...]:
        def forward(*arrays: mx.array) -> tuple[mx.array, ...]:
            return self.run(kernel, call.over(arrays))

        def backward(primals: Any, cotangents: Any, _: Any) -> Any:
            def plain(*arrays: mx.array) -> tuple[mx.array, ...]:
                return self.baseline(call.over(arrays))

            many = isinstance(primals, list | tuple)
            duals = cotangents if isinstance(cotangents, list | tuple) else [cotangents]
            gradients = mx.vjp(plain, list(primals) if many else [primals], list(duals))[1]
            return gradients if many else gradients[0]

        function = mx.custom_function(forward)
        function.vjp(backward)
        results: Any = function(*call.present)
        return tuple(results)

    def baseline(self, call: FoldedCall) -> tuple[mx.array, ...]:
        """What the fallback gives, in folded form."""
        return self._fallback(call, call.arrays)

    def _fallback(self, call: FoldedCall, arrays: Sequence[Array]) -> tuple[mx.array, ...]:
        types = {name: dtype_of(dtype) for name, dtype in call.types.items()}
        names = {**call.axes, **call.params, **types, "dtype": types["T"]}
        numbers = {name: names[name] for name in self.op["fallback"]["numbers"]}
        found = self.fallback(*arrays, **numbers)
        return tuple(found) if isinstance(found, tuple | list) else (found,)

    def _without_a_run(self, call: FoldedCall) -> tuple[mx.array, ...] | None:
        """The outputs where an array is empty and nothing needs to run, None where it must."""
        shapes = [shape_of(tensor, call) for tensor in self.op["outputs"]]
        if all(0 in shape for shape in shapes):
            return self._filled(shapes, [0] * len(shapes), call)
        over_nothing = self.op["over_nothing"]
        if all(a is None or a.size for a in call.arrays) or over_nothing == "computed":
            return None
        if over_nothing is None:
            raise ValueError(f"{self.op['name']}: an input is empty; no value is defined for that")
        return self._filled(shapes, over_nothing, call)

    def _filled(
        self, shapes: list[list[int]], values: Sequence[Any], call: FoldedCall
    ) -> tuple[mx.array, ...]:
        kinds = [dtype_in(tensor, call) for tensor in self.op["outputs"]]
        return self._unfolded(tuple(map(mx.full, shapes, values, kinds)), call)

    def _same_dtypes(self, call: FoldedCall) -> bool:
        """Whether every array has the dtype that the kernel was proven for."""
        pairs = zip(self.op["inputs"], call.arrays, strict=True)
        return all(a is None or a.dtype == dtype_in(t, call) for t, a in pairs)


def unfit(kernel: Mapping[str, Any], axes: Axes) -> str:
    """Why a kernel may not serve these sizes on this chip; empty when it may."""
    record = kernel["record"]
    if record["device_kind"] != "metal":
        return f"timed on {record['device_name']} ({record['device_kind']}), never on an Apple GPU"
    if record["device_name"] != chip():
        return f"timed on {record['device_name']}, this is {chip()}"
    if record["status"] != "faster":
        return "proven, but not faster than the baseline"
    for region in record["regions"]:
        if all(low <= axes[name] <= high for name, (low, high) in region.items()):
            return ""
    return "outside the shapes it was timed in"


@cache
def _metal_kernel(digest: str, index: int) -> Any:
    op, kernel = next(
        (op, k) for op in catalog()["ops"] for k in op["kernels"] if k["hash"] == digest
    )
    launch = kernel["launches"][index]
    return mx.fast.metal_kernel(
        name=f"{op['name']}_{digest[:12]}_{index}",
        input_names=launch["inputs"],
        output_names=launch["outputs"],
        source=launch["body"],
        header=kernel["header"],
        atomic_outputs=launch["atomic_outputs"],
        compile_options={"math_mode": launch["math_mode"]},
    )


def _as_input(tensor: Mapping[str, Any], array: Array, call: FoldedCall) -> mx.array:
    """An input as kernels get it: one that is absent is a single element."""
    if array is not None:
        return array
    return mx.zeros([1] * len(tensor["shape"]), dtype_in(tensor, call))


def _parameter(given: Any, default: Any) -> mx.array:
    if isinstance(default, bool):
        return mx.array(bool(given))
    dtype = mx.int32 if isinstance(default, int) else mx.float32
    return mx.array(given, dtype)
