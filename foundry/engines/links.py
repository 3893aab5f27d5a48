"""What makes one MLX call wait for another: an input that cannot be there before a result is.

On a GPU MLX runs independent calls side by side, so a time for many of them is not that of one.
"""

from __future__ import annotations

from typing import Any


def linked(array: Any, after: Any) -> Any:
    """An MLX array equal to `array` that cannot be there before `after` is: one small dispatch."""
    import mlx.core as mx

    if after is None or not after.size or not array.size:
        return array
    asked = after.reshape(-1)[:1].view(mx.bool_)[:1]
    return mx.where(asked, array, array).reshape(array.shape)


def smallest(arrays: dict[str, Any]) -> str | None:
    """Name of the array with the fewest bytes, of those that have any."""
    named = [name for name, array in arrays.items() if array.size]
    return min(named, key=lambda name: arrays[name].nbytes, default=None)
