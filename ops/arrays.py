"""Arrays of NumPy and of MLX with the same bytes; bfloat16 is ml_dtypes' in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ops.dtypes import numpy_dtype


def to_mlx(array: NDArray[Any]) -> Any:
    """An MLX array with the bytes of a NumPy array."""
    import mlx.core as mx

    if array.dtype == numpy_dtype("bfloat16"):
        return mx.array(array.view(np.uint16)).view(mx.bfloat16)
    return mx.array(array)


def from_mlx(array: Any) -> NDArray[Any]:
    """A NumPy array with the bytes of an MLX array."""
    import mlx.core as mx

    if array.dtype == mx.bfloat16:
        return np.array(array.view(mx.uint16)).view(numpy_dtype("bfloat16"))
    return np.array(array)
