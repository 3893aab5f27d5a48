"""Products of matrices with the signatures of `mlx.core`."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from .calls import Stream, on, run


def matmul(a: Any, b: Any, *, transpose: bool = False, stream: Stream = None) -> mx.array:
    """Product of two matrices, as `mx.matmul`.

    Args:
        a: `[..., m, k]`.
        b: `[k, n]`, or `[n, k]` where it is transposed: a weight, one row an output. Kernels take
            it so; a plain product is MLX's own.
        transpose: Multiply by `b.T`.
        stream: A stream or device.
    """
    if transpose:
        found: mx.array = run("matmul", (a, b), {}, stream)
        return found
    with on(stream):
        return mx.matmul(a, b)
