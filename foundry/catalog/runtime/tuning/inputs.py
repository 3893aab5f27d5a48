"""Inputs to time at any size: indices as the op says, all else spread from those of the checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import mlx.core as mx

from ..arguments import MatchedCall, Record, dtype_of, match, value

Arrays = Mapping[str, mx.array]


def timed_call(op: Record, dtype: str, sizes: Record, samples: Arrays) -> MatchedCall:
    """A call of the op at some sizes, evaluated and ready to be timed.

    Args:
        op: The op.
        dtype: What `T` stands for.
        sizes: `axes` and `params`.
        samples: Small arrays of every input, from the checks.

    Raises:
        ValueError: TimedSizes that the op does not take.
    """
    axes = dict(sizes["axes"])
    given = [_array(tensor, dtype, op, axes, samples) for tensor in op["inputs"]]
    mx.eval(*[array for array in given if array is not None])
    seen = {tensor["dtype"] for tensor in op["inputs"]}
    unseen = {} if "T" in seen else {"T": dtype}
    return match(op, given, {**axes, **sizes["params"], **unseen})


def samples_of(op: Record, dtype: str, loaded: Arrays) -> dict[str, mx.array]:
    """For every input the largest array that a check of this dtype holds."""
    found: dict[str, mx.array] = {}
    for check in op["checks"]:
        for tensor in op["inputs"]:
            array = loaded.get(f"{check['arrays']}/in/{tensor['name']}")
            if array is None or (tensor["dtype"] == "T" and array.dtype != dtype_of(dtype)):
                continue
            if array.size > found.get(tensor["name"], mx.zeros((0,))).size:
                found[tensor["name"]] = array
    return found


def _array(
    tensor: Record, dtype: str, op: Record, axes: Mapping[str, int], samples: Arrays
) -> mx.array | None:
    shape = [value(size, axes) for size in tensor["shape"]]
    if tensor["below"] is not None:
        return _indices(tensor, shape, axes)
    sample = samples.get(tensor["name"])
    if sample is None:
        return None if tensor["flag"] else mx.zeros(shape, _dtype(tensor, dtype, op))
    return as_models_hold(tensor, _spread(sample, shape))


_ROOM = 256
"""Rows that a cache of mlx-lm grows by: keys and values are the first rows of a longer buffer."""


def as_models_hold(tensor: Record, array: mx.array) -> mx.array:
    """The same elements as they lie in memory where models call the op.

    MLX's own functions read heads through strides; for a kernel they are copied into rows first,
    and that is part of what it costs.
    """
    if array.ndim != 4 or tensor["shape"][-1] != "head_dim":
        return array
    if tensor["shape"][2] == "kv_len":
        buffer = mx.pad(array, [(0, 0), (0, 0), (0, _ROOM), (0, 0)])
        mx.eval(buffer)
        kept: mx.array = buffer[:, :, : array.shape[2]]
        return kept
    by_token = mx.contiguous(array.transpose(0, 2, 1, 3))
    mx.eval(by_token)
    return by_token.transpose(0, 2, 1, 3)


def _dtype(tensor: Record, dtype: str, op: Record) -> mx.Dtype:
    name = tensor["dtype"]
    found: str = dtype if name == "T" else op["types"].get(name, [name])[0]
    return dtype_of(found)


def _indices(tensor: Record, shape: Sequence[int], axes: Mapping[str, int]) -> mx.array:
    below = value(tensor["below"], axes)
    drawn = mx.random.randint(0, max(below, 1), shape, key=mx.random.key(7))
    ordered = mx.sort(drawn, axis=-1) if tensor["sorted"] else drawn
    return ordered.astype(dtype_of(tensor["dtype"]))


def _spread(sample: mx.array, shape: Sequence[int]) -> mx.array:
    """Elements of a sample, again and again, until a shape is full."""
    flat: Any = sample.reshape(-1)
    count = 1
    for size in shape:
        count *= size
    spread: mx.array = flat[mx.arange(count) % flat.size].reshape(shape)
    return spread
