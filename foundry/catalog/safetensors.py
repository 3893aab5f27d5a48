"""Named arrays as the bytes of a safetensors file, which `mx.load` reads; equal in, equal out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_CODES: Mapping[str, str] = {
    "float32": "F32", "float16": "F16", "bfloat16": "BF16", "bool": "BOOL",
    "int64": "I64", "int32": "I32", "int16": "I16", "int8": "I8",
    "uint64": "U64", "uint32": "U32", "uint16": "U16", "uint8": "U8",
}  # fmt: skip
_ALIGNMENT = 8


def safetensors(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The file: length of the header, header, then the arrays one after the other."""
    header: dict[str, Any] = {}
    data = bytearray()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        end = len(data) + array.nbytes
        header[name] = {
            "dtype": _CODES[array.dtype.name],
            "shape": list(arrays[name].shape),
            "data_offsets": [len(data), end],
        }
        data += array.tobytes()
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(8, "little") + text + bytes(data)
