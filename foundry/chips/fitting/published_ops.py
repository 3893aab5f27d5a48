"""Ops of published times that this package's registry does not hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ops import registry
from ops.axis import axes
from ops.families.matrices.gemm import matmul
from ops.matches import Close
from ops.spec import Op
from ops.workload import Tensor, Workload


def _fft(inputs: Mapping[str, NDArray[Any]], workload: Workload) -> tuple[NDArray[Any], ...]:
    x = inputs["x"]
    found = np.fft.fft(x[..., 0] + 1j * x[..., 1])
    return (np.stack([found.real, found.imag], -1),)


_MATMUL_NN = replace(
    matmul, name="matmul_nn", inputs=(Tensor("a", ("m", "k")), Tensor("b", ("k", "n")))
)
"""Most published kernels take b as it stands in `a b`; the op of this package takes weights."""
_FFT = Op(
    name="fft",
    family="fft",
    formula="out[b, j] = sum over p < n of x[b, p] exp(-2 pi i j p / n), of complex numbers whose "
    "real and imaginary parts lie side by side.",
    axes=axes("batch n"),
    inputs=(Tensor("x", ("batch", "n", 2)),),
    outputs=(Tensor("out", ("batch", "n", 2), match=Close("n")),),
    oracle=_fft,
    baselines={"fft": "mx.fft.fft(mx.view(x, mx.complex64)[..., 0])"},
    flops="10 * batch * n",
    visible=(),
    hidden=(),
    bench=(),
)
_OPS = {op.name: op for op in (_MATMUL_NN, _FFT)}


def published_op(name: str) -> Op:
    """An op by its name in a data set.

    Raises:
        UsageError: There is none; carries the nearest of the registry.
    """
    return _OPS.get(name) or registry.get(name)
