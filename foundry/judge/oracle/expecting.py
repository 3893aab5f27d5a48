"""What every output of a workload should be: the oracle, and for each match what it lets through.

1. `_Formula` calls the oracle on float64 inputs; computed keys of `Ties` follow its outputs.
2. `bounds` says how far whatever is computed in floats may be from it.
3. Each output gets the kind of `foundry.judge.matching` that its match asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from foundry.judge.matching import Equal, Expected, Sampled, Tied, Unordered, Within
from foundry.judge.oracle import bounds
from foundry.judge.oracle.bounds import Quantity, Wide
from foundry.judge.oracle.form import check_form
from foundry.program import Arrays
from ops import empty
from ops.dtypes import FLOAT_DTYPES, numpy_dtype
from ops.matches import Close, Distribution, Set, Ties
from ops.spec import Op, Oracle, Stored, widen
from ops.workload import Tensor, Workload, dtype_of, match_of, reduction_length


def expected(
    op: Op, workload: Workload, inputs: Arrays, baseline: Arrays, rng: Generator
) -> tuple[Expected, ...]:
    """What every output should be.

    Args:
        op: The op.
        workload: One of its workloads.
        inputs: As `make_inputs` gives them.
        baseline: Outputs of an MLX baseline on the same inputs; empty where there is none.
        rng: Draws rounding errors.
    """
    formula = _Formula(op)
    wide = widen(op, workload, inputs)
    values = formula(wide, workload)
    quantities = formula.quantities(workload, baseline)
    found = bounds.allowed(formula, workload, wide, values, quantities, rng)
    seed = int(rng.integers(2**63))
    known = _Computed(inputs, formula, values, found, seed)
    pairs = zip(op.outputs, values[: len(op.outputs)], strict=True)
    return tuple(_kind(tensor, workload, value, known) for tensor, value in pairs)


def values(op: Op, workload: Workload, inputs: Arrays) -> Arrays:
    """What the oracle gives, each output in its dtype: a fraction of what a bound costs."""
    found = _Formula(op)(widen(op, workload, inputs), workload)
    pairs = zip(op.outputs, found[: len(op.outputs)], strict=True)
    with np.errstate(all="ignore"):
        return {t.name: _stored(v, numpy_dtype(dtype_of(t, workload))) for t, v in pairs}


def _stored(value: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """In a dtype: codes that the oracle leaves between two whole numbers are the nearest."""
    is_between = dtype.kind in "iu" and value.dtype.kind == "f"
    return (np.rint(value) if is_between else value).astype(dtype)


def expected_of_baseline(
    op: Op, workload: Workload, inputs: Arrays, baseline: Arrays, rng: Generator
) -> tuple[Expected, ...]:
    """What a workload should give that is too large for the oracle: the baseline, more loosely.

    Probabilities and computed keys come from the op all the same: no baseline gives them.
    """
    if any(_needs_oracle(t) for t in op.outputs):
        return expected(op, workload, inputs, baseline, rng)
    formula, values = _Formula(op), tuple(baseline[t.name] for t in op.outputs)
    found = {
        q.name: bounds.around(q, values[q.index].astype(np.float64))
        for q in formula.quantities(workload, {})
    }
    known = _Computed(inputs, formula, values, found, 0)
    pairs = zip(op.outputs, values, strict=True)
    return tuple(_kind(tensor, workload, value, known) for tensor, value in pairs)


@dataclass(frozen=True)
class _Formula:
    """The oracle of an op, then the keys that its `Ties` compute."""

    op: Op

    def __call__(self, inputs: Arrays, workload: Workload) -> tuple[NDArray[Any], ...]:
        """See `bounds.Formula`."""
        return self._values(self.op.oracle, inputs, workload)

    def steps(self, inputs: Arrays, workload: Workload, stored: Stored) -> tuple[NDArray[Any], ...]:
        """See `bounds.Formula`; the oracle is as good where the op gives no steps of its own."""
        own = self.op.steps
        if own is None:
            return self(inputs, workload)
        return self._values(lambda i, w: own(i, w, stored), inputs, workload)

    def _values(
        self, outputs_of: Oracle, inputs: Arrays, workload: Workload
    ) -> tuple[NDArray[Any], ...]:
        with np.errstate(all="ignore"):
            known = empty.answer(self.op, workload, inputs)
            outputs = outputs_of(inputs, workload) if known is None else known
            if not empty.has_nothing_to_compute(self.op, workload):
                check_form(self.op, workload, outputs)
            keys = (np.asanyarray(by(inputs, workload)) for _, by in self._computed_keys())
            return (*map(np.asanyarray, outputs), *keys)

    def key_of(self, output: str) -> int:
        """Position of the keys of an output among the values."""
        names = [tensor.name for tensor, _ in self._computed_keys()]
        return len(self.op.outputs) + names.index(output)

    def quantities(self, workload: Workload, baseline: Arrays) -> tuple[Quantity, ...]:
        """Those of the values that are computed in floats, and so are never quite exact."""
        found: list[Quantity] = []
        for index, tensor in enumerate(self.op.outputs):
            length, dtype = reduction_length(tensor, workload), dtype_of(tensor, workload)
            match match_of(tensor, workload):
                case Close():
                    other = baseline.get(tensor.name)
                    found.append(Quantity(tensor.name, index, dtype, length, other))
                case Set() if dtype in FLOAT_DTYPES:
                    found.append(Quantity(tensor.name, index, dtype, length))
                case Ties(by=by) if not isinstance(by, str):
                    found.append(Quantity(tensor.name, self.key_of(tensor.name), "float32", length))
        return tuple(found)

    def _computed_keys(self) -> list[tuple[Tensor, Any]]:
        ties = ((t, t.match.by) for t in self.op.outputs if isinstance(t.match, Ties))
        return [(tensor, by) for tensor, by in ties if not isinstance(by, str)]


@dataclass(frozen=True)
class _Computed:
    """What is known of a workload once oracle and bounds are computed."""

    inputs: Arrays
    formula: _Formula
    values: tuple[NDArray[Any], ...]
    bounds: Mapping[str, Wide]
    seed: int


def _kind(tensor: Tensor, workload: Workload, value: NDArray[Any], known: _Computed) -> Expected:
    bound = known.bounds.get(tensor.name)
    match match_of(tensor, workload):
        case Close() if bound is not None:
            return Within(value.astype(np.float64), bound)
        case Set():
            wide = value.astype(np.float64)
            return Unordered(Equal(value) if bound is None else Within(wide, bound))
        case Ties(by=str() as name, axis=axis):
            return Tied(value, known.inputs[name], None, axis)
        case Ties(axis=axis):
            keys = known.values[known.formula.key_of(tensor.name)]
            return Tied(value, keys, bound, axis)
        case Distribution() if value.size:
            return Sampled(value, known.seed)
    return Equal(value)


def _needs_oracle(tensor: Tensor) -> bool:
    match tensor.match:
        case Distribution():
            return True
        case Ties(by=by):
            return not isinstance(by, str)
    return False
