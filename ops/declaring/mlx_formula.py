"""An MLX text that is an op's formula: computed in float64, it is the op's oracle.

For ops whose author has nothing but the MLX that he would write. Where `ops.texts.wide_mlx` knows
all of the text it is evaluated over NumPy, and the judge follows rounding errors through it;
anything else MLX computes itself, in float64 on the CPU (its exponentials and sines are then as
exact as float32, which the error model's own bounds exceed by far).
"""

from __future__ import annotations

import importlib.metadata
import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ops.dtypes import FLOAT_DTYPES
from ops.errors import UsageError
from ops.spec import Stored
from ops.texts import wide_mlx
from ops.texts.mlx import BUILTINS, names_in, statements, unknown_to_mlx
from ops.workload import ELEMENT, Workload, oracle_dtype, param_value, resolved

Arrays = tuple[NDArray[Any], ...]


@dataclass(frozen=True)
class MlxFormula:
    """The formula of an op, as a baseline is written: over its inputs, parameters and axes."""

    text: str
    inputs: tuple[str, ...]
    """Names of the op's inputs."""
    outputs: tuple[str, ...] = (ELEMENT,)
    """Dtypes of its outputs, as its tensors name them."""

    def oracle(self, inputs: Mapping[str, NDArray[Any]], workload: Workload) -> Arrays:
        """Values in float64; integers as they come."""
        computed = self._by_mlx if self._missing else self._by_numpy
        found = computed(inputs, workload)
        values = found if isinstance(found, tuple | list) else (found,)
        kinds = [oracle_dtype(resolved(dtype, workload)) for dtype in self.outputs]
        return tuple(v.astype(kind, copy=False) for v, kind in zip(values, kinds, strict=True))

    @property
    def steps(self) -> Any:
        """The formula as kernels evaluate it, for `Op.steps`; None where only MLX knows it."""
        return self._step_by_step if self._missing is None else None

    def _step_by_step(
        self, inputs: Mapping[str, NDArray[Any]], workload: Workload, stored: Stored
    ) -> Arrays:
        return self.oracle(inputs, workload)

    @cached_property
    def _missing(self) -> str | None:
        return wide_mlx.lacks(self.text)

    def _by_numpy(self, inputs: Mapping[str, NDArray[Any]], workload: Workload) -> Any:
        arrays = [inputs[name] for name in self.inputs]
        with np.errstate(all="ignore"):
            found = self._function(wide_mlx.namespace())(*arrays, **self._values(workload))
        return _each(found, np.asanyarray)

    def _by_mlx(self, inputs: Mapping[str, NDArray[Any]], workload: Workload) -> Any:
        import mlx.core as mx

        if missing := unknown_to_mlx(self.text, mx):
            raise UsageError(f"{missing} is not in MLX {importlib.metadata.version('mlx')}")
        with mx.stream(mx.cpu):
            arrays = [_mlx_array(mx, inputs[name]) for name in self.inputs]
            values = {
                name: mx.float64 if value is np.float64 else value
                for name, value in self._values(workload).items()
            }
            found = self._function(_Wide(mx))(*arrays, **values)
            return _each(found, np.array)

    def _values(self, workload: Workload) -> dict[str, Any]:
        """Numbers and dtypes that the text names."""
        numbers = {
            name: param_value(workload, name) if isinstance(value, float) else value
            for name, value in workload.params.items()
        }
        types = {"dtype": workload.dtype, **workload.types}
        wide = {name: wide_mlx.dtype(found) for name, found in types.items()}
        known = {**workload.axes, **numbers, **wide}
        return {name: known[name] for name in names_in(self.text) if name in known}

    def _function(self, mx: Any) -> Any:
        names = [n for n in names_in(self.text) if n not in (*self.inputs, "mx", "math", *BUILTINS)]
        arguments = ", ".join([*self.inputs, *(["*", *names] if names else [])])
        body = textwrap.indent(statements(self.text), "    ")
        known: dict[str, Any] = {"__builtins__": dict(BUILTINS), "mx": mx, "math": math}
        exec(compile(f"def reference({arguments}):\n{body}\n", "<reference>", "exec"), known)
        return known["reference"]


class _Wide:
    """MLX, whose floats are all float64."""

    def __init__(self, mx: Any) -> None:
        self._mx = mx

    def __getattr__(self, name: str) -> Any:
        return self._mx.float64 if name in FLOAT_DTYPES else getattr(self._mx, name)


def _mlx_array(mx: Any, array: NDArray[Any]) -> Any:
    plain = np.asarray(array)
    # MLX takes float64 of NumPy for float32 unless it is told.
    return mx.array(plain, dtype=mx.float64) if plain.dtype == np.float64 else mx.array(plain)


def _each(found: Any, make: Any) -> Any:
    return tuple(map(make, found)) if isinstance(found, tuple | list) else make(found)
