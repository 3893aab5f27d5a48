"""Baselines inside a worker: the same call border as an executable of an engine.

They are MLX expressions, built lazily. Where NumPy comes with a tuned BLAS, a product of matrices
has one more, since MLX's own on a processor is a plain loop.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundry.engines.base import Call
from foundry.engines.links import linked, smallest
from foundry.errors import UsageError
from foundry.program import Arrays
from ops import empty, registry
from ops.arrays import from_mlx, to_mlx
from ops.baselines import Bound
from ops.dtypes import numpy_dtype
from ops.spec import Op, present
from ops.workload import Workload, dtype_of, shape_of

_PRODUCT = re.compile(r"(\w+) @ (\w+)(\.T)?")
_TUNED = ("openblas", "mkl", "accelerate", "blis")


class BaselineCall:
    """A baseline bound to inputs; calling it computes every output and waits."""

    def __init__(
        self, op: Op, workload: Workload, name: str, inputs: Mapping[str, NDArray[Any]]
    ) -> None:
        self._op = op
        self._names = [t.name for t in present(op, workload)]
        self._function = _answered(op, workload, inputs) or op.bound_baseline(name, workload)
        self._results: dict[str, Any] = {}
        self.renew(inputs)

    def renew(self, inputs: Mapping[str, NDArray[Any]]) -> None:
        """Take other inputs."""
        import mlx.core as mx

        self._given = inputs
        self._inputs = {name: to_mlx(inputs[name]) for name in self._names}
        self._smallest = smallest(self._inputs)
        mx.eval(list(self._inputs.values()))

    def __call__(self) -> None:
        """Run once and wait."""
        import mlx.core as mx

        self._results = self.start(None)
        mx.eval(self._results)

    def start(self, after: Any) -> dict[str, Any]:
        """The results of one call, not evaluated yet; it waits for `after`, if there is any."""
        arrays = self._inputs
        if after is not None and self._smallest is not None:
            arrays = arrays | self.link(after)
        found = self._function(*arrays.values())
        return {t.name: r for t, r in zip(self._op.outputs, found, strict=True)}

    def link(self, after: Any) -> dict[str, Any]:
        """The input that waits for `after`."""
        if self._smallest is None:
            return {}
        return {self._smallest: linked(self._inputs[self._smallest], after)}

    def changed(self) -> str | None:
        """The first of its inputs that is no longer as it was, in words."""
        for name, array in self._inputs.items():
            if from_mlx(array).tobytes() != self._given[name].tobytes():
                return f"{name} (the baseline's)"
        return None

    def outputs(self) -> Arrays:
        """Results of the latest call by output name."""
        return {name: from_mlx(array) for name, array in self._results.items()}


def _answered(op: Op, workload: Workload, inputs: Mapping[str, NDArray[Any]]) -> Bound | None:
    """A stand-in for a baseline where an empty array leaves nothing to run."""
    known = empty.answer(op, workload, inputs)
    if known is None:
        return None
    pairs = zip(op.outputs, known, strict=True)
    arrays = tuple(to_mlx(v.astype(numpy_dtype(dtype_of(t, workload)))) for t, v in pairs)
    return lambda *_: arrays


class ProductProgram:
    """A product of two matrices by NumPy's BLAS, as an executable."""

    def __init__(self, op: Op, workload: Workload) -> None:
        found = product_of(op)
        if found is None:
            raise ValueError(f"{op.name} is no product of matrices")
        self._names = found[:2]
        self._is_transposed = found[2]
        (tensor,) = op.outputs
        self._name = tensor.name
        self._shape = shape_of(tensor, workload)
        self._dtype = numpy_dtype(dtype_of(tensor, workload))

    def bind(
        self,
        inputs: Mapping[str, NDArray[Any]],
        *,
        poison: bool = False,
        over: Call | None = None,
    ) -> ProductCall:
        """Attach inputs."""
        first, second = (inputs[name] for name in self._names)
        second = second.swapaxes(-1, -2) if self._is_transposed else second
        return ProductCall(self._name, first, second, np.empty(self._shape, self._dtype))

    def forget(self, calls: Sequence[object]) -> None:
        """It keeps nothing."""


class ProductCall:
    """One product of matrices; narrow types are multiplied as float32, which BLAS has."""

    def __init__(
        self, name: str, first: NDArray[Any], second: NDArray[Any], out: NDArray[Any]
    ) -> None:
        self._name, self._first, self._second, self._out = name, first, second, out
        self._is_plain = out.dtype == np.float32

    def __call__(self) -> None:
        """Run once and wait."""
        if self._is_plain:
            np.matmul(self._first, self._second, out=self._out)
            return
        wide = self._first.astype(np.float32) @ self._second.astype(np.float32)
        self._out[...] = wide.astype(self._out.dtype)

    def inputs(self) -> Arrays:
        """None that a kernel could have changed."""
        return {}

    def outputs(self) -> Arrays:
        """Results of the latest call by output name."""
        return {self._name: self._out.copy()}


def product_of(op: Op, among: Sequence[str] | None = None) -> tuple[str, str, bool] | None:
    """The factors, and whether the second is transposed, where an op is a product of matrices.

    Args:
        op: The op.
        among: Baselines that may say so; None: all of them.
    """
    names = {t.name for t in op.inputs}
    for name in op.baselines if among is None else among:
        found = _PRODUCT.fullmatch(op.baseline(name).text.strip())
        if found and {found[1], found[2]} <= names and len(op.outputs) == 1:
            return found[1], found[2], bool(found[3])
    return None


def tuned_blas() -> str | None:
    """Name of the BLAS that NumPy comes with, where it is a tuned one."""
    try:
        built = np.show_config(mode="dicts")
        name = str(built["Build Dependencies"]["blas"]["name"])
    except (KeyError, TypeError):
        return None
    return name if any(known in name.lower() for known in _TUNED) else None


def find_op(name: str, file: str) -> Op:
    """The op of that name, loading the user's file that defines it where necessary."""
    try:
        return registry.get(name)
    except UsageError:
        registry.load_file(Path(file))
        return registry.get(name)


def select_device(kind: str) -> None:
    """Point MLX at the kind of device that the engine runs on."""
    import mlx.core as mx

    mx.set_default_device(mx.cpu if kind == "cpu" else mx.gpu)
