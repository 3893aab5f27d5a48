"""Norms with the signatures of `mx.fast`."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from .calls import Stream, run


def rms_norm(x: Any, weight: Any = None, eps: float = 1e-5, *, stream: Stream = None) -> mx.array:
    """Root mean square norm of the last axis, as `mx.fast.rms_norm`.

    Args:
        x: Any number of leading dimensions.
        weight: One for each element of the last axis, or None.
        eps: Added to the mean square.
        stream: A stream or device.
    """
    if weight is None:
        return mx.fast.rms_norm(x, None, eps, stream=stream)
    found: mx.array = run("rms_norm", (x, weight), {"eps": eps}, stream)
    return found


def layer_norm(
    x: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5, *, stream: Stream = None
) -> mx.array:
    """Norm of the last axis to mean 0 and deviation 1, as `mx.fast.layer_norm`.

    Args:
        x: Any number of leading dimensions.
        weight: One for each element of the last axis, or None.
        bias: The same, added at the end.
        eps: Added to the variance.
        stream: A stream or device.
    """
    if weight is None or bias is None:
        return mx.fast.layer_norm(x, weight, bias, eps, stream=stream)
    found: mx.array = run("layer_norm", (x, weight, bias), {"eps": eps}, stream)
    return found
