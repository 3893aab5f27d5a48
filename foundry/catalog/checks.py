"""What a wheel is checked against on its user's machine: inputs, and what must come out.

The results are the oracle's in float64 and the bounds those that the judge holds kernels to. Sizes
are visible ones and ones drawn here, so a wheel tells nobody the hidden ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundry.catalog.signatures import unseen_types
from foundry.errors import UsageError
from foundry.harness.measuring.baseline import BaselineCall
from foundry.judge.matching import Equal, Expected, Within
from foundry.judge.oracle.draws.distributions import DISTRIBUTIONS, TO_THE_ENDS
from foundry.judge.oracle.draws.near import ALIKE
from foundry.judge.oracle.expecting import expected
from foundry.judge.oracle.inputs import applicable, make_inputs
from foundry.judge.oracle.workloads.dealing import deal, unseen
from foundry.program import Arrays
from ops.dtypes import numpy_dtype
from ops.empty import has_nothing_to_compute, is_over_nothing, over_nothing
from ops.spec import Op, present
from ops.workload import Workload, dtype_of, resolved, shape_of

_SEED = 20
_MOST_ELEMENTS = 2048
_VISIBLE = 3
_DRAWN = 3
_TRIED = 24
"""Sizes drawn, of which the first few that are small enough are taken."""


@dataclass(frozen=True)
class Checks:
    """The checks of one op."""

    records: list[dict[str, Any]]
    arrays: Mapping[str, NDArray[Any]]


_LEFT_OUT = frozenset({*TO_THE_ENDS, "band", "mixed", ALIKE})
"""Inputs whose values lie anywhere in a dtype's range, where MLX's own functions in 16 bits
overflow on the way (its silu of -11.2 in float16 is 0), or cancel."""


def checks_of(op: Op) -> Checks:
    """Small workloads of an op in every dtype, with inputs, results and bounds."""
    records: list[dict[str, Any]] = []
    arrays: dict[str, NDArray[Any]] = {}
    for dtype in op.dtypes:
        names = applicable(op, tuple(d for d in DISTRIBUTIONS if d not in _LEFT_OUT))
        for index, (workload, dealt) in enumerate(deal(_workloads(op, dtype), names, 2, _SEED)):
            prefix = f"{op.name}/{len(records)}"
            first = dealt[0] if index == 0 else dealt[-1]
            held = _held(op, workload, tuple(dict.fromkeys((first, *dealt, "normal"))))
            arrays |= {f"{prefix}/{k}": v for k, v in _arrays(op, workload, held)}
            of_check = {"axes": dict(workload.axes), "params": dict(workload.params)}
            types = {name: resolved(name, workload) for name in unseen_types(op)}
            records.append({"arrays": prefix, **of_check, "types": types})
    return Checks(records, arrays)


def _workloads(op: Op, dtype: str) -> tuple[Workload, ...]:
    visible = [w for w in op.workloads("visible", dtype) if _fits(op, w)]
    hidden = [dict(case.axes) for case in op.hidden]
    new = (w for w in unseen(op, dtype, _SEED, _TRIED) if dict(w.axes) not in hidden)
    drawn = [w for w in new if _fits(op, w)]
    largest = sorted(visible, key=lambda w: _elements(op, w))[-_VISIBLE:]
    empty = [w for w in _emptied(op, dtype) if dict(w.axes) not in hidden]
    # A package refuses what its op does not say the value of.
    says = over_nothing(op) is not None
    asked = [w for w in empty if says and is_over_nothing(op, w)]
    return (*largest, *drawn[:_DRAWN], *asked[:1])


def _emptied(op: Op, dtype: str) -> Iterator[Workload]:
    """Visible workloads, then the same with one axis of size 0, where the op has such."""
    yield from op.workloads("visible", dtype)
    for case, axis in product(op.visible, op.axis_names):
        with suppress(UsageError):
            yield op.workload(replace(case, axes={**case.axes, axis: 0}), dtype)


def _fits(op: Op, workload: Workload) -> bool:
    return 0 < _elements(op, workload) <= _MOST_ELEMENTS and not has_nothing_to_compute(
        op, workload
    )


def _elements(op: Op, workload: Workload) -> int:
    tensors = (*present(op, workload), *op.outputs)
    return sum(math.prod(shape_of(t, workload)) for t in tensors)


@dataclass(frozen=True)
class _Held:
    """Inputs, and what must come of them."""

    inputs: Arrays
    wanted: tuple[Expected, ...]


def _held(op: Op, workload: Workload, names: Sequence[str]) -> _Held:
    """The first of some distributions on which MLX's own function is right; else the last.

    In 16 bits some of its functions overflow on the way, where kernels do not.
    """
    for name in names:
        inputs = make_inputs(op, workload, name, _SEED)
        rng, baseline = np.random.default_rng(_SEED), _baseline(op, workload, inputs)
        wanted = expected(op, workload, inputs, baseline, rng)
        pairs = zip(op.outputs, wanted, strict=True)
        found = _Held(inputs, wanted)
        if all(_gives(baseline[t.name], want) for t, want in pairs):
            break
    return found


def _gives(found: NDArray[Any], want: Expected) -> bool:
    return not found.size or want.compare(found).fault is None


def _arrays(op: Op, workload: Workload, held: _Held) -> Iterator[tuple[str, NDArray[Any]]]:
    for tensor in present(op, workload):
        yield f"in/{tensor.name}", held.inputs[tensor.name]
    for tensor, want in zip(op.outputs, held.wanted, strict=True):
        for kind, array in _wanted(want, dtype_of(tensor, workload)):
            yield f"{kind}/{tensor.name}", array


def _wanted(want: Expected, dtype: str) -> Iterator[tuple[str, NDArray[Any]]]:
    """Value and bound of an output; nothing of one that may come out in more than one way."""
    match want:
        case Equal(value=value):
            yield "want", value.astype(numpy_dtype(dtype))
        case Within(value=value, bound=bound):
            # Rounded up, and by what rounding the value to float32 may cost.
            slack = np.abs(value) * 2.0**-24
            with np.errstate(over="ignore"):  # infinite where float32 ends; nothing is asked there
                yield "want", value.astype(np.float32)
                yield "bound", np.nextafter((bound + slack).astype(np.float32), np.inf)


def _baseline(op: Op, workload: Workload, inputs: Arrays) -> Arrays:
    call = BaselineCall(op, workload, next(iter(op.baselines)), inputs)
    call()
    return call.outputs()
