"""Calls the proven kernel where it is known to win, and the baseline everywhere else.

1. `Function.__call__` matches the arguments to the op's axes; leading dimensions are folded.
2. `Function.choose` says which kernel serves this dtype, chip and shape, or why none does.
3. The kernel runs launch by launch; gradients come from the baseline.

Set the environment variable that `DISPATCH_VARIABLE` names to `off` (always the baseline) or `all`
(every proven kernel, also where it was never timed).
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import mlx.core as mx

HERE = Path(__file__).parent
DISPATCH_VARIABLE = f"{HERE.name.upper()}_DISPATCH"
Axes = Mapping[str, int]


@dataclass(frozen=True)
class Choice:
    """Which path a call takes, and why."""

    kernel: Mapping[str, Any] | None
    why: str


@dataclass(frozen=True)
class Call:
    """Arguments matched to an op."""

    arrays: tuple[mx.array, ...]
    axes: dict[str, int]
    params: dict[str, Any]
    lead: tuple[int, ...] | None
    """Leading dimensions that were folded into the first axis, to be unfolded in the outputs."""
    dtype: str


@cache
def catalog() -> Mapping[str, Any]:
    """Everything this package knows: ops, kernels, records."""
    loaded: Mapping[str, Any] = json.loads((HERE / "catalog.json").read_text())
    return loaded


@cache
def _code(expression: str) -> Any:
    return compile(expression, "<catalog>", "eval")


def value(expression: int | bool | str, names: Mapping[str, int]) -> int:
    """An expression of this package's own catalog; it was checked to be plain arithmetic."""
    if not isinstance(expression, str):
        return expression
    known = {"min": min, "max": max, "ceildiv": lambda a, b: -(-a // b)}
    return int(eval(_code(expression), {"__builtins__": {}}, {**known, **names}))


def dtype_name(dtype: mx.Dtype) -> str:
    """`float32` for `mx.float32`."""
    return str(dtype).removeprefix("mlx.core.").replace("bool", "bool_")


def dtype_of(name: str) -> mx.Dtype:
    """`mx.float32` for `float32`."""
    found: mx.Dtype = getattr(mx, name)
    return found


@cache
def chip() -> str | None:
    """Name of the Apple GPU, None without Metal."""
    if not mx.metal.is_available():
        return None
    return str(mx.device_info().get("device_name", "Apple GPU"))


@dataclass(frozen=True)
class Function:
    """One op of the catalog as a callable."""

    op: Mapping[str, Any]
    fallback: Callable[..., Any]
    """Takes the arrays in the op's order and, by name, the numbers that its record lists."""

    def __call__(self, arrays: Sequence[Any], given: Mapping[str, Any]) -> Any:
        """Run on arrays, in the op's order of inputs.

        Raises:
            ValueError: A wrong number of dimensions or sizes that contradict each other.
        """
        call = self.match(arrays, given)
        results = self._without_a_run(call) or self._run_or_fall_back(call)
        outputs = tuple(self._unfold(result, call.lead) for result in results)
        return outputs[0] if len(outputs) == 1 else outputs

    def _run_or_fall_back(self, call: Call) -> tuple[mx.array, ...]:
        kernel = self.choose(call).kernel
        return self.baseline(call) if kernel is None else self._differentiable(kernel, call)

    def match(self, arrays: Sequence[Any], given: Mapping[str, Any]) -> Call:
        """Fold leading dimensions and find the size of every axis."""
        tensors = self.op["inputs"]
        found = [a if isinstance(a, mx.array) else mx.array(a) for a in arrays]
        folded, lead = self._fold(found)
        axes = {k: int(v) for k, v in given.items() if k in self.op["axes"]}
        for tensor, array in zip(tensors, folded, strict=True):
            self._match_shape(tensor, array, axes)
        params = {k: given.get(k, v) for k, v in self.op["params"].items()}
        generic = [a for t, a in zip(tensors, folded, strict=True) if t["dtype"] == "T"]
        return Call(tuple(folded), axes, params, lead, dtype_name(generic[0].dtype))

    def choose(self, call: Call) -> Choice:
        """The kernel for this call, or None and the reason."""
        mode = os.environ.get(DISPATCH_VARIABLE, "auto")
        if mode == "off":
            return Choice(None, f"{DISPATCH_VARIABLE}=off")
        if chip() is None:
            return Choice(None, "Metal is not available on this machine")
        why = f"no kernel for {call.dtype}"
        for kernel in self.op["kernels"]:
            if kernel["dtype"] == call.dtype and self._same_dtypes(call):
                reason = "" if mode == "all" else unfit(kernel, call.axes)
                if not reason:
                    return Choice(kernel, f"kernel {kernel['hash'][:12]}")
                why = reason
        return Choice(None, why)

    def output_shape(self, tensor: Mapping[str, Any], call: Call) -> list[int]:
        """Shape of an output in folded form."""
        return [value(d, call.axes) for d in tensor["shape"]]

    def run(self, kernel: Mapping[str, Any], call: Call) -> tuple[mx.array, ...]:
        """All launches of a kernel on Metal."""
        names = [t["name"] for t in self.op["inputs"]]
        arrays: dict[str, Any] = dict(zip(names, call.arrays, strict=True))
        arrays |= {k: _parameter(v, self.op["params"][k]) for k, v in call.params.items()}
        for index, launch in enumerate(kernel["launches"]):
            self._launch(kernel, launch, index, call, arrays)
        return tuple(arrays[t["name"]] for t in self.op["outputs"])

    def _launch(
        self,
        kernel: Mapping[str, Any],
        launch: Mapping[str, Any],
        index: int,
        call: Call,
        arrays: dict[str, Any],
    ) -> None:
        names = dict(call.axes)
        template: list[tuple[str, Any]] = [("T", dtype_of(call.dtype))]
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
            output_shapes=[tuple(value(d, call.axes) for d in t["shape"]) for t in outputs],
            output_dtypes=[
                dtype_of(call.dtype if t["dtype"] == "T" else t["dtype"]) for t in outputs
            ],
            init_value=launch["init_value"],
        )
        arrays.update(zip(launch["outputs"], results, strict=True))

    def _differentiable(self, kernel: Mapping[str, Any], call: Call) -> tuple[mx.array, ...]:
        def forward(*arrays: mx.array) -> tuple[mx.array, ...]:
            return self.run(kernel, _with_arrays(call, arrays))

        def backward(primals: Any, cotangents: Any, _: Any) -> Any:
            def plain(*arrays: mx.array) -> tuple[mx.array, ...]:
                return self.baseline(_with_arrays(call, arrays))

            many = isinstance(primals, list | tuple)
            duals = cotangents if isinstance(cotangents, list | tuple) else [cotangents]
            gradients = mx.vjp(plain, list(primals) if many else [primals], list(duals))[1]
            return gradients if many else gradients[0]

        function = mx.custom_function(forward)
        function.vjp(backward)
        results: Any = function(*call.arrays)
        return tuple(results)

    def baseline(self, call: Call) -> tuple[mx.array, ...]:
        """What the fallback gives for a call in which no array is empty."""
        names = {**call.axes, **call.params, "dtype": dtype_of(call.dtype)}
        numbers = {name: names[name] for name in self.op["fallback"]["numbers"]}
        found = self.fallback(*call.arrays, **numbers)
        return tuple(found) if isinstance(found, tuple | list) else (found,)

    def _without_a_run(self, call: Call) -> tuple[mx.array, ...] | None:
        """The outputs where an array is empty and nothing needs to run, None where it must."""
        tensors = self.op["outputs"]
        shapes = [self.output_shape(t, call) for t in tensors]
        if all(math.prod(shape) == 0 for shape in shapes):
            values: Sequence[Any] = [0] * len(shapes)
        elif all(array.size for array in call.arrays):
            return None
        elif (values := self.op["over_nothing"]) is None:
            raise ValueError(
                f"{self.op['name']}: an input is empty, and no value is defined for it"
            )
        kinds = [dtype_of(call.dtype if t["dtype"] == "T" else t["dtype"]) for t in tensors]
        return tuple(map(mx.full, shapes, values, kinds))

    def _fold(self, arrays: list[mx.array]) -> tuple[list[mx.array], tuple[int, ...] | None]:
        batch = self.op["batch_axis"]
        tensors = self.op["inputs"]
        if len(arrays) != len(tensors):
            raise ValueError(f"{self.op['name']} takes {len(tensors)} arrays, got {len(arrays)}")
        if batch is None:
            return arrays, None
        lead: tuple[int, ...] | None = None
        folded = []
        for tensor, array in zip(tensors, arrays, strict=True):
            if tensor["shape"][:1] != [batch]:
                folded.append(array)
                continue
            rest = len(tensor["shape"]) - 1
            if array.ndim < rest:
                raise ValueError(f"{self.op['name']}: {tensor['name']} needs {rest} dimensions")
            split = array.ndim - rest
            lead = array.shape[:split] if lead is None else lead
            if array.shape[:split] != lead:
                raise ValueError(f"{self.op['name']}: leading dimensions differ: {lead}")
            folded.append(array.reshape(math.prod(array.shape[:split]), *array.shape[split:]))
        return folded, lead

    @staticmethod
    def _unfold(result: mx.array, lead: tuple[int, ...] | None) -> mx.array:
        return result if lead is None else result.reshape(*lead, *result.shape[1:])

    def _match_shape(
        self, tensor: Mapping[str, Any], array: mx.array, axes: dict[str, int]
    ) -> None:
        expected = tensor["shape"]
        if array.ndim != len(expected):
            raise ValueError(
                f"{self.op['name']}: {tensor['name']} has {array.ndim} dimensions, "
                f"expected [{', '.join(map(str, expected))}]"
            )
        for expression, size in zip(expected, array.shape, strict=True):
            if expression in self.op["axes"]:
                axes.setdefault(expression, size)
            if value(expression, axes) != size:
                raise ValueError(
                    f"{self.op['name']}: {tensor['name']} has size {size} where "
                    f"{expression} is {value(expression, axes)}"
                )

    def _same_dtypes(self, call: Call) -> bool:
        pairs = zip(self.op["inputs"], call.arrays, strict=True)
        return all(
            dtype_name(a.dtype) == (call.dtype if t["dtype"] == "T" else t["dtype"])
            for t, a in pairs
        )


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


def _parameter(given: Any, default: Any) -> mx.array:
    if isinstance(default, bool):
        return mx.array(bool(given))
    dtype = mx.int32 if isinstance(default, int) else mx.float32
    return mx.array(given, dtype)


def _with_arrays(call: Call, arrays: Sequence[mx.array]) -> Call:
    return Call(tuple(arrays), call.axes, call.params, call.lead, call.dtype)
