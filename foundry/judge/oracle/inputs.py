"""Inputs of a workload: named distributions, reproducible from a seed.

1. `make_inputs` says which distribution fills each tensor: the same for most, and of some for one
   alone.
2. `draws` has the distributions; the fill of a tensor makes of them values that it may hold. A few
   ask for more than a shape: `_draw` gives them the workload's parameters, or places that all
   inputs share.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from foundry.errors import unknown
from foundry.judge.oracle.draws import (
    coinciding,
    heavy,
    near,
    nonfinite,
    opposite,
    spots,
    thresholds,
)
from foundry.judge.oracle.draws.distributions import (
    DISTRIBUTIONS,
    EVERY,
    TO_THE_ENDS,
    Draw,
    Shape,
    Values,
)
from foundry.program import Arrays
from ops.dtypes import numpy_dtype
from ops.fills import Positive, Real
from ops.matches import Distribution, Exact, Match, Set, Ties
from ops.spec import Op
from ops.workload import Tensor, Workload, dtype_of, fill_of, kernel_shape, param_dtype, shape_of

_DRAWS: Mapping[str, Draw] = MappingProxyType(
    {
        **DISTRIBUTIONS,
        **nonfinite.DRAWS,
        **dict.fromkeys(spots.SPOTS, spots.draw),
        heavy.HEAVY: heavy.draw,
        heavy.HEAVIER: heavy.draw_heavier,
        opposite.OPPOSITE: opposite.draw,
    }
)
_OF_WORKLOADS = (coinciding.COINCIDING, thresholds.THRESHOLDS)
"""Distributions that a shape and a dtype do not say everything of."""
_STREAM = MappingProxyType(
    {
        "touched": "normal",
        "negated": "normal",
        "large": "normal",
        "small": "normal",
        near.FAINT: "normal",
    }
)
"""Distributions made of the values of another one, element by element."""


def make_inputs(op: Op, workload: Workload, distribution: str, seed: int) -> Arrays:
    """Input tensors, then parameters as 0-d arrays, in the order in which kernels get them.

    An absent input has a stand-in, which oracle and baseline do not see.

    Args:
        op: The op.
        workload: One of its workloads.
        distribution: One of `DISTRIBUTIONS`, of `nonfinite.DRAWS` or of `spots.SPOTS`;
            `COINCIDING`, `THRESHOLDS` or `OPPOSITE`.
        seed: Equal seeds give equal bytes on every machine.

    Raises:
        UsageError: Unknown distribution.
    """
    if distribution not in (*_DRAWS, *_OF_WORKLOADS):
        raise unknown("distribution", distribution, _DRAWS)
    arrays: Arrays = {}
    dealt = _dealt(op, workload, distribution, seed)
    models = near.models(op) if distribution == near.ALIKE else {}
    for tensor in op.inputs:
        if tensor.name in workload.absent:
            arrays[tensor.name] = _stand_in(tensor, workload)
            continue
        name, stream = tensor.name, _STREAM.get(distribution, distribution)
        rng = _generator(seed, workload.id, models.get(name, name), stream)
        apart = _generator(seed, workload.id, name, "apart") if name in models else None
        is_free = fill_of(tensor, workload) == Real()
        # A range has neither NaN nor infinities.
        given = "normal" if dealt[name] in nonfinite.DRAWS and not is_free else dealt[name]
        draw = _draw(op, workload, tensor, given, seed)
        arrays[tensor.name] = _tensor(tensor, workload, given, draw, rng, apart)
    for name, default in op.params.items():
        value = workload.params.get(name, default)
        arrays[name] = np.asarray(value, dtype=numpy_dtype(param_dtype(default)))
    return arrays


def _dealt(op: Op, workload: Workload, distribution: str, seed: int) -> dict[str, str]:
    """The distribution of every tensor: the same for most, and of some for one tensor alone."""
    dealt = {tensor.name: distribution for tensor in op.inputs}
    if distribution in spots.SPOTS:
        rng = _generator(seed, workload.id, *spots.SPOTS)
        holder = spots.spotted(op, workload, distribution, rng)
        dealt = {name: distribution if name == holder else "normal" for name in dealt}
    if distribution == opposite.OPPOSITE:
        holder = _generator(seed, workload.id, distribution).choice(opposite.able(op, workload))
        dealt = {name: distribution if name == holder else "normal" for name in dealt}
    for name in _spared(op, workload, distribution, seed):
        dealt[name] = nonfinite.SPARING[distribution]
    sources = {t.match.source for t in op.outputs if isinstance(t.match, Distribution)}
    return dealt | dict.fromkeys(sources, "normal")


def _spared(op: Op, workload: Workload, distribution: str, seed: int) -> set[str]:
    """The tensors that hold one NaN or infinity at most: all but one, drawn, of those that may."""
    if distribution not in nonfinite.SPARING:
        return set()
    free = list(nonfinite.may_hold(op, workload))
    if free:
        is_another = distribution == nonfinite.NAN_OF_ANOTHER
        name = nonfinite.NAN if is_another else distribution
        first = int(_generator(seed, workload.id, name).integers(len(free)))
        free.pop((first + is_another) % len(free))
    return set(free)


def _stand_in(tensor: Tensor, workload: Workload) -> NDArray[Any]:
    """What a kernel gets for an absent input: one element, NaN or -1, that it must not use."""
    kind = numpy_dtype(dtype_of(tensor, workload))
    array = np.ones(kernel_shape(tensor, workload), kind)
    if kind.kind != "b":
        array.reshape(-1).view(np.uint8)[...] = 0xFF
    return array


def applicable(op: Op, distributions: Sequence[str]) -> tuple[str, ...]:
    """The distributions under which an op has one right result on every device.

    GPUs and some CPU instructions take numbers below the smallest normal one for zero, so an output
    that is compared bit for bit cannot be asked for them. Numbers up to the largest are for those
    alone that only select.
    """
    matches = [t.compared for t in op.outputs]
    barred = {EVERY} if near.models(op) else {EVERY, near.ALIKE}
    if any(isinstance(m, Exact | Ties | Set) for m in matches):
        barred.add("denormal")
    if not all(_selects(m) for m in matches):
        barred.add("widest")
    return tuple(d for d in distributions if d not in barred)


def _selects(match: Match) -> bool:
    return isinstance(match, Exact) or (isinstance(match, Ties) and isinstance(match.by, str))


def _generator(seed: int, *names: str) -> Generator:
    digest = hashlib.sha256("\0".join(names).encode()).digest()
    words = np.frombuffer(digest, dtype=np.uint32).tolist()
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, *words])))


def _draw(op: Op, workload: Workload, tensor: Tensor, distribution: str, seed: int) -> Draw:
    """What draws the values of a tensor."""
    if distribution == thresholds.THRESHOLDS:
        known = thresholds.parameters(op, workload)
        return lambda rng, shape, _: thresholds.draw(rng, shape, known)
    if distribution == coinciding.COINCIDING:
        of_nothing = coinciding.may_be_of_nothing(op, tensor)
        return lambda rng, shape, _: coinciding.draw(
            rng, _generator(seed, workload.id, "places"), shape, of_nothing=of_nothing
        )
    return _DRAWS[distribution]


def _tensor(
    tensor: Tensor,
    workload: Workload,
    distribution: str,
    draw: Draw,
    rng: Generator,
    apart: Generator | None,
) -> NDArray[Any]:
    """Draw one input; `apart` moves it away from the one that `rng` draws too."""
    shape, dtype = shape_of(tensor, workload), dtype_of(tensor, workload)
    fill = fill_of(tensor, workload)
    has_ends = fill in (Real(), Positive())
    to_the_ends = has_ends and distribution in (*TO_THE_ENDS, *nonfinite.DRAWS)

    def values(rng: Generator, shape: Shape, dtype: str) -> Values:
        drawn = draw(rng, shape, dtype)
        drawn = drawn if apart is None else near.moved(drawn, apart)
        return drawn if to_the_ends else _finite(drawn, dtype)

    return fill.draw(rng, shape, dtype, workload.axes, values)


def _finite(values: Values, dtype: str) -> Values:
    limit = 60000.0 if dtype == "float16" else 1e38
    clipped: Values = np.clip(values, -limit, limit)
    return clipped
