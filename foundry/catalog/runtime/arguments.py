"""Matches the arguments of a call to an op: every axis gets its size, leading dimensions fold.

Whatever does not fit is refused in one sentence before anything runs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import mlx.core as mx

Record = Mapping[str, Any]
"""An op or a tensor as `catalog.json` holds it."""
Array = mx.array | None
"""None stands for an optional input that is absent."""


@dataclass(frozen=True)
class FoldedCall:
    """Arguments matched to an op."""

    arrays: tuple[Array, ...]
    """In the op's order, with leading dimensions folded into the first axis."""
    given: tuple[Array, ...]
    """The same arrays as the caller gave them."""
    axes: dict[str, int]
    params: dict[str, Any]
    lead: tuple[int, ...] | None
    """Leading dimensions that were folded, to be unfolded in the outputs."""
    types: dict[str, str]
    """Dtype of every type variable: `{"T": "float32"}`."""

    @property
    def dtype(self) -> str:
        """What `T` stands for."""
        return self.types["T"]

    @property
    def present(self) -> tuple[mx.array, ...]:
        """The arrays that are given, folded."""
        return tuple(array for array in self.arrays if array is not None)

    def over(self, present: Sequence[mx.array]) -> FoldedCall:
        """The same call on other arrays of the same sizes, folded; absent ones stay absent."""
        others = iter(present)
        arrays = tuple(None if array is None else next(others) for array in self.arrays)
        lead = None if self.lead is None else (math.prod(self.lead),)
        return replace(self, arrays=arrays, given=arrays, lead=lead)


def match(op: Record, arrays: Sequence[Any], numbers: Mapping[str, Any]) -> FoldedCall:
    """Find the size of every axis, and fold leading dimensions.

    Args:
        op: The op.
        arrays: Its inputs in order.
        numbers: Parameters, and sizes of the axes that no input shows.

    Raises:
        ValueError: Dimensions, sizes or dtypes that the op does not take.
    """
    given = tuple(a if a is None or isinstance(a, mx.array) else mx.array(a) for a in arrays)
    types = _types(op, given)
    folded, lead = _fold(op, given)
    axes = {k: int(v) for k, v in numbers.items() if k in op["axes"]}
    present = [(t, a) for t, a in zip(op["inputs"], folded, strict=True) if a is not None]
    for tensor, array in present:
        _set_sizes(op, tensor, array, axes)
    for tensor, array in present:
        _check_sizes(op, tensor, array, axes)
    _check_rules(op, axes)
    params = {k: numbers.get(k, v) for k, v in op["params"].items()}
    return FoldedCall(tuple(folded), given, axes, params, lead, types)


def _types(op: Record, arrays: Sequence[Array]) -> dict[str, str]:
    types: dict[str, str] = {}
    for tensor, array in zip(op["inputs"], arrays, strict=True):
        if array is None or tensor["dtype"] not in op["types"]:
            continue
        name, dtype = tensor["dtype"], dtype_name(array.dtype)
        allowed = op["types"][name]
        if dtype not in allowed:
            raise ValueError(f"{op['name']}: {tensor['name']} is {dtype}; give {_either(allowed)}")
        types.setdefault(name, dtype)
    return {name: allowed[0] for name, allowed in op["types"].items()} | types


def _either(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def _fold(op: Record, arrays: Sequence[Array]) -> tuple[list[Array], tuple[int, ...] | None]:
    batch = op["batch_axis"]
    if batch is None:
        return list(arrays), None
    lead: tuple[int, ...] | None = None
    folded: list[Array] = []
    for tensor, array in zip(op["inputs"], arrays, strict=True):
        if array is None or tensor["shape"][:1] != [batch]:
            folded.append(array)
            continue
        rest = len(tensor["shape"]) - 1
        if array.ndim < rest:
            raise ValueError(f"{op['name']}: {tensor['name']} needs {rest} dimensions")
        split = array.ndim - rest
        lead = array.shape[:split] if lead is None else lead
        if array.shape[:split] != lead:
            raise ValueError(
                f"{op['name']}: {tensor['name']} has leading dimensions {array.shape[:split]}, "
                f"others have {lead}"
            )
        shape = (math.prod(lead), *array.shape[split:])
        folded.append(array if split == 1 else array.reshape(shape))
    return folded, lead


def unfold(result: mx.array, lead: tuple[int, ...] | None) -> mx.array:
    """An output with the leading dimensions that its inputs had."""
    if lead is None or len(lead) == 1:
        return result
    return result.reshape(*lead, *result.shape[1:])


def _set_sizes(op: Record, tensor: Record, array: mx.array, axes: dict[str, int]) -> None:
    expected = tensor["shape"]
    if array.ndim != len(expected):
        raise ValueError(
            f"{op['name']}: {tensor['name']} has {array.ndim} dimensions, "
            f"expected [{', '.join(map(str, expected))}]"
        )
    for expression, size in zip(expected, array.shape, strict=True):
        if expression in op["axes"]:
            axes.setdefault(expression, size)


def _check_sizes(op: Record, tensor: Record, array: mx.array, axes: Mapping[str, int]) -> None:
    for expression, size in zip(tensor["shape"], array.shape, strict=True):
        if value(expression, axes) != size:
            raise ValueError(
                f"{op['name']}: {tensor['name']} has size {size} where "
                f"{expression} is {value(expression, axes)}"
            )


def _check_rules(op: Record, axes: Mapping[str, int]) -> None:
    for name, size in axes.items():
        if size < 0:
            raise ValueError(f"{op['name']}: {name} is {size}; sizes are 0 or more")
    for rule in op["rules"]:
        if not value(rule, axes):
            sizes = ", ".join(f"{name}={size}" for name, size in axes.items())
            raise ValueError(f"{op['name']}: {rule} does not hold for {sizes}")


@cache
def _code(expression: str) -> Any:
    return compile(expression, "<catalog>", "eval")


def value(expression: int | bool | str, names: Mapping[str, int]) -> int:
    """An expression of this package's own catalog; it was checked to be plain arithmetic."""
    if not isinstance(expression, str):
        return expression
    known = {"min": min, "max": max, "ceildiv": lambda a, b: -(-a // b)}
    return int(eval(_code(expression), {"__builtins__": {}}, {**known, **names}))


def shape_of(tensor: Record, call: FoldedCall) -> list[int]:
    """Shape of a tensor in folded form."""
    return [value(d, call.axes) for d in tensor["shape"]]


def dtype_in(tensor: Record, call: FoldedCall) -> mx.Dtype:
    """Dtype of a tensor in a call."""
    name: str = tensor["dtype"]
    return dtype_of(call.types.get(name, name))


def dtype_name(dtype: mx.Dtype) -> str:
    """`float32` for `mx.float32`."""
    return str(dtype).removeprefix("mlx.core.").replace("bool", "bool_")


def dtype_of(name: str) -> mx.Dtype:
    """`mx.float32` for `float32`."""
    found: mx.Dtype = getattr(mx, name)
    return found
