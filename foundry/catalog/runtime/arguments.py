"""Matches the arguments of a call to an op: every axis gets its size, leading dimensions fold.

Whatever does not fit is refused in one sentence before anything runs.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import CodeType
from typing import Any

import mlx.core as mx

Record = Mapping[str, Any]
"""An op or a tensor as `catalog.json` holds it."""
Array = mx.array | None
"""None stands for an optional input that is absent."""


@dataclass(frozen=True)
class Sizes:
    """All that a call decides by the shapes, dtypes and numbers of its arguments."""

    axes: dict[str, int]
    params: dict[str, Any]
    types: dict[str, str]
    """Dtype of every type variable: `{"T": "float32"}`."""
    lead: tuple[int, ...] | None
    """Leading dimensions that are folded into the first axis; None where the op has none."""
    folds: tuple[tuple[int, ...] | None, ...]
    """For every input the shape that it is folded to, None where it stays as it is."""

    @property
    def dtype(self) -> str:
        """What `T` stands for."""
        return self.types["T"]

    @property
    def are_folded(self) -> bool:
        """Whether any input has other leading dimensions than the op, so that outputs have too."""
        return any(self.folds)

    def fold(self, arrays: Sequence[Array]) -> list[Array]:
        """Inputs with leading dimensions folded into the first axis."""
        pairs = zip(arrays, self.folds, strict=True)
        return [a if a is None or shape is None else a.reshape(shape) for a, shape in pairs]

    def unfold(self, results: Sequence[mx.array]) -> tuple[mx.array, ...]:
        """Outputs with the leading dimensions that the inputs had."""
        if self.lead is None or len(self.lead) == 1:
            return tuple(results)
        # One tuple: MLX takes a reshape without arguments for one to nothing, and crashes.
        return tuple(result.reshape((*self.lead, *result.shape[1:])) for result in results)


@dataclass(frozen=True)
class MatchedCall:
    """Arguments matched to an op."""

    arrays: tuple[Array, ...]
    """In the op's order, as the caller gave them."""
    sizes: Sizes


def match(op: Record, arrays: Sequence[Any], numbers: Mapping[str, Any]) -> MatchedCall:
    """Find the size of every axis, and how leading dimensions fold.

    Args:
        op: The op.
        arrays: Its inputs in order.
        numbers: Parameters, sizes of the axes that no input shows, and dtypes that none shows: of
            MLX, or by name.

    Raises:
        ValueError: Dimensions, sizes or dtypes that the op does not take.
    """
    for tensor, array in zip(op["inputs"], arrays, strict=True):
        if array is None and not tensor["flag"]:
            raise ValueError(f"{op['name']}: {tensor['name']} is None; give an array")
    pairs = zip(op["inputs"], arrays, strict=True)
    given = tuple(a if a is None else array_of(f"{op['name']}: {t['name']}", a) for t, a in pairs)
    types = _types(op, given, numbers)
    lead, folds = _folds(op, given)
    axes = {k: _whole(op, k, v) for k, v in numbers.items() if k in op["axes"]}
    rows = zip(op["inputs"], given, folds, strict=True)
    shapes = [(t, fold or a.shape) for t, a, fold in rows if a is not None]
    for tensor, shape in shapes:
        _set_sizes(op, tensor, shape, axes)
    for tensor, shape in shapes:
        _solve_sizes(op, tensor, shape, axes)
    for tensor, shape in shapes:
        _check_sizes(op, tensor, shape, axes)
    _check_rules(op, axes)
    params = {k: _number(op, k, numbers.get(k, v), v) for k, v in op["params"].items()}
    return MatchedCall(given, Sizes(axes, params, types, lead, folds))


def _whole(op: Record, name: str, given: Any) -> int:
    """A size that the caller names; a fraction or a text is none."""
    try:
        if not isinstance(given, bool):
            return operator.index(given)
    except (TypeError, ValueError):
        pass
    raise ValueError(f"{op['name']}: {name} is {given!r}; give a whole number")


def _number(op: Record, name: str, given: Any, like: Any) -> Any:
    """A parameter as it is, where it has a value as a number: nothing, a text or a list has none.

    What is traced has no value yet, so it is not asked for it.
    """
    if not hasattr(type(given), "__float__"):
        raise ValueError(f"{op['name']}: {name} is {given!r}; give a number")
    # A kernel would cut off what a baseline computes with.
    is_integer = getattr(given, "is_integer", None)
    if type(like) is int and is_integer is not None and not is_integer():
        raise ValueError(f"{op['name']}: {name} is {given!r}; give a whole number")
    return given


def array_of(what: str, given: Any) -> mx.array:
    """What MLX makes an array of, as one.

    Args:
        what: How it is called where it is none.
        given: An array, of MLX or NumPy, numbers, or lists of them.

    Raises:
        ValueError: None of these.
    """
    if isinstance(given, mx.array):
        return given
    try:
        return mx.array(given)
    except (TypeError, ValueError) as error:
        kind = type(given).__name__
        raise ValueError(f"{what} is of type {kind}, and no array: {given!r:.60}") from error


def _types(op: Record, arrays: Sequence[Array], numbers: Mapping[str, Any]) -> dict[str, str]:
    """Every type variable: as an input shows it, as the caller names it, or the op's first."""
    shown = [
        (tensor["dtype"], tensor["name"], dtype_name(array.dtype))
        for tensor, array in zip(op["inputs"], arrays, strict=True)
        if array is not None and tensor["dtype"] in op["types"]
    ]
    named = [(n, "dtype", dtype_name(numbers[n])) for n in op["types"] if n in numbers]
    types: dict[str, str] = {}
    for name, of, dtype in (*shown, *named):
        allowed = op["types"][name]
        if dtype not in allowed:
            raise ValueError(f"{op['name']}: {of} is {dtype}; give {_either(allowed)}")
        types.setdefault(name, dtype)
    return {name: allowed[0] for name, allowed in op["types"].items()} | types


def _either(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def _folds(
    op: Record, arrays: Sequence[Array]
) -> tuple[tuple[int, ...] | None, tuple[tuple[int, ...] | None, ...]]:
    """The leading dimensions, and the shape that every input is folded to."""
    batch = op["batch_axis"]
    if batch is None:
        return None, (None,) * len(arrays)
    lead: tuple[int, ...] | None = None
    folds: list[tuple[int, ...] | None] = []
    for tensor, array in zip(op["inputs"], arrays, strict=True):
        if array is None or tensor["shape"][:1] != [batch]:
            folds.append(None)
            continue
        split = array.ndim - len(tensor["shape"]) + 1
        if split < 0:
            rest = len(tensor["shape"]) - 1
            raise ValueError(f"{op['name']}: {tensor['name']} needs {rest} dimensions")
        lead = array.shape[:split] if lead is None else lead
        if array.shape[:split] != lead:
            raise ValueError(
                f"{op['name']}: {tensor['name']} has leading dimensions {array.shape[:split]}, "
                f"others have {lead}"
            )
        folds.append(None if split == 1 else (math.prod(lead), *array.shape[split:]))
    return lead, tuple(folds)


def _set_sizes(op: Record, tensor: Record, shape: tuple[int, ...], axes: dict[str, int]) -> None:
    expected = tensor["shape"]
    if len(shape) != len(expected):
        raise ValueError(
            f"{op['name']}: {tensor['name']} has {len(shape)} dimensions, "
            f"expected [{', '.join(map(str, expected))}]"
        )
    for expression, size in zip(expected, shape, strict=True):
        if expression in op["axes"]:
            axes.setdefault(expression, size)


def _solve_sizes(op: Record, tensor: Record, shape: tuple[int, ...], axes: dict[str, int]) -> None:
    """Axes that only a size such as `2 * cols` shows."""
    for expression, size in zip(tensor["shape"], shape, strict=True):
        names = names_in(expression)
        if len(names) != 1 or names[0] in axes or names[0] not in op["axes"]:
            continue
        one, two, three = (value(expression, {names[0]: n}) for n in (1, 2, 3))
        if not three - two == two - one > 0:
            continue
        count, rest = divmod(size - one, two - one)
        if rest:
            raise ValueError(
                f"{op['name']}: {tensor['name']} has size {size}; expected {expression}"
            )
        axes[names[0]] = count + 1


def _check_sizes(
    op: Record, tensor: Record, shape: tuple[int, ...], axes: Mapping[str, int]
) -> None:
    for expression, size in zip(tensor["shape"], shape, strict=True):
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


def keeps_rules(op: Record, axes: Mapping[str, int]) -> bool:
    """Whether an op has some sizes at all."""
    return all(value(rule, axes) for rule in op["rules"])


@cache
def _code(expression: str) -> CodeType:
    return compile(expression, "<catalog>", "eval")


def value(expression: int | bool | str, names: Mapping[str, int]) -> int:
    """An expression of this package's own catalog; it was checked to be plain arithmetic."""
    if not isinstance(expression, str):
        return expression
    if expression in names:
        return int(names[expression])
    return int(eval(_code(expression), _KNOWN, names))


_KNOWN: dict[str, Any] = {
    "__builtins__": {}, "min": min, "max": max, "ceildiv": lambda a, b: -(-a // b),
}  # fmt: skip


def names_in(expression: int | str) -> tuple[str, ...]:
    """The names that an expression mentions."""
    return _code(expression).co_names if isinstance(expression, str) else ()


def shape_of(tensor: Record, sizes: Sizes) -> list[int]:
    """Shape of a tensor in folded form."""
    return [value(d, sizes.axes) for d in tensor["shape"]]


def dtype_in(tensor: Record, sizes: Sizes) -> mx.Dtype:
    """Dtype of a tensor at these sizes."""
    name: str = tensor["dtype"]
    return dtype_of(sizes.types.get(name, name))


def dtype_name(dtype: mx.Dtype | str) -> str:
    """`float32` for `mx.float32`, and for itself."""
    name = str(dtype).removeprefix("mlx.core.")
    return "bool_" if name == "bool" else name


def dtype_of(name: str) -> mx.Dtype:
    """`mx.float32` for `float32`."""
    found: mx.Dtype = getattr(mx, name)
    return found
