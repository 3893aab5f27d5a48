"""What the functions of all families share: plain functions of arrays become oracles.

A member of a family gives its mathematics as `np`, a function of arrays and parameters such as
`lambda x, alpha: ...`; an op wants `oracle(inputs, workload)`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from ops.errors import unknown
from ops.parameters import Scalar
from ops.spec import Oracle, Steps
from ops.workload import Workload, param_value

Formula = Callable[..., Any]
"""float64 arrays, then parameters by name, to one array or a tuple of one per output."""


def oracle(formula: Formula, names: Sequence[str]) -> Oracle:
    """The oracle that calls a formula with the inputs of these names, then every parameter."""

    def found(inputs: Mapping[str, NDArray[Any]], workload: Workload) -> tuple[NDArray[Any], ...]:
        result = formula(*(inputs[name] for name in names), **values(workload))
        return result if isinstance(result, tuple) else (result,)

    return written_with(formula, found)


def stepwise(formula: Formula, names: Sequence[str]) -> Steps:
    """The steps that call a formula as `oracle` does; none of them stores `T`."""
    called = oracle(formula, names)
    return lambda inputs, workload, stored: called(inputs, workload)


def written_with(formula: Formula, found: Oracle) -> Oracle:
    """The oracle, marked as a form of the formula: a worker looks for an op in its file."""
    if inspect.isfunction(formula):
        found.__wrapped__ = formula  # type: ignore[attr-defined]
    return found


def values(workload: Workload) -> dict[str, Scalar]:
    """Every parameter as a kernel receives it: floats rounded to float32."""
    return {
        name: param_value(workload, name) if isinstance(value, float) else value
        for name, value in workload.params.items()
    }


def asked(formula: Formula, known: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the known values that a formula takes by name.

    Raises:
        UsageError: It takes one that is not known.
    """
    names = tuple(inspect.signature(formula).parameters)
    for name in names:
        if name not in known:
            raise unknown("argument of a NumPy formula", name, known)
    return {name: known[name] for name in names}
