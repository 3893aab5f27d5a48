"""MLX dtypes by name: their sizes, and the same dtypes in NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

FLOAT_DTYPES = ("float32", "float16", "bfloat16")
DTYPE_BYTES: Mapping[str, int] = MappingProxyType(
    {
        "float32": 4,
        "float16": 2,
        "bfloat16": 2,
        "int64": 8,
        "uint64": 8,
        "int32": 4,
        "uint32": 4,
        "int16": 2,
        "uint16": 2,
        "int8": 1,
        "uint8": 1,
        "bool_": 1,
    }
)


def numpy_dtype(name: str) -> np.dtype[Any]:
    """NumPy dtype of an MLX dtype name; `bfloat16` comes from ml_dtypes, `bool_` is one byte."""
    if name == "bfloat16":
        import ml_dtypes

        bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return bfloat16
    return np.dtype({"bool_": "bool"}.get(name, name))
