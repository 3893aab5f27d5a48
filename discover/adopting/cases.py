"""Sizes on which an adopted kernel is tried: small ones that are shown, odd ones that are not.

The author's own sizes are the bench cases. Where one of them is small enough it is tried beside
small sizes of the other axes, and hidden beside its neighbours: a kernel must not live on one size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from discover.adopting.call import AdoptedCall, Sizes
from ops.parameters import Scalar
from ops.texts import wide_mlx
from ops.texts.expressions import ExpressionError, evaluate

MOST_ELEMENTS = 60_000
"""Of all tensors of a small case."""
_SHOWN = (1, 8, 64, 5, 33, 100)
_HIDDEN = (7, 2, 127, 33, 257, 3, 65)
_APART = 2
"""Places by which the sizes of neighbouring axes are apart in these lists."""
_BESIDE, _EMPTY_BESIDE = 2, 3
_ORDINARY = 4
Params = dict[str, Scalar]


@dataclass(frozen=True)
class CaseSizes:
    """One case: sizes by axis, and parameters where they leave their defaults."""

    axes: Sizes
    params: Params


def shown(call: AdoptedCall) -> list[CaseSizes]:
    """Visible cases, parameters dealt out to them in turn."""
    mixed = [_mixed(call, _SHOWN, at) for at in range(len(_SHOWN))]
    own = [_one_of_its_own(call, axis, 0) for axis in call.axes]
    found = _small(call, _allowed(call, [*mixed, *own]))
    return _dealt(call, found, _other_params(call)[:-1])


def hidden(call: AdoptedCall) -> list[CaseSizes]:
    """Hidden cases: none has the sizes of a visible one; where there are no others, its numbers."""
    empty = [{a: 0 if a == axis else _EMPTY_BESIDE for a in call.axes} for axis in call.axes]
    mixed = [_mixed(call, _HIDDEN, at) for at in range(len(_HIDDEN))]
    near = [_one_of_its_own(call, axis, step) for axis in call.axes for step in (1, -1)]
    taken = {tuple(case.axes.values()) for case in shown(call)}
    every = _allowed(call, [*empty, *mixed, *near])
    fresh = [sizes for sizes in every if tuple(sizes.values()) not in taken]
    if not fresh:
        return _dealt(call, _small(call, every), _other_params(call)[-1:])
    return _dealt(call, _small(call, fresh), _other_params(call))


def notes(call: AdoptedCall) -> Iterator[str]:
    """What the author should know of the cases."""
    if all(axis in call.fixed for axis in call.axes):
        yield "every size is fixed: hidden cases differ from visible ones in numbers alone"


def least(call: AdoptedCall, axis: str) -> int:
    """The smallest size of an axis.

    It is 0 where nothing is to be computed then: what a sum over nothing is, the author did not
    say, and MLX itself is never asked about empty arrays.
    """
    ordinary = dict.fromkeys(call.axes, _ORDINARY)
    empty = {**ordinary, axis: 0}
    if wide_mlx.lacks(call.reference) is not None or _loses_a_value(call, ordinary, empty):
        return 1
    outputs = call.outputs.values()
    is_empty = all(0 in [evaluate(size, empty) for size in array.shape] for array in outputs)
    return 0 if is_empty else 1


def _loses_a_value(call: AdoptedCall, ordinary: Sizes, empty: Sizes) -> bool:
    """Whether anything that the call says divides by what is 0 at the second sizes only."""
    arrays = (*call.arrays.values(), *call.outputs.values())
    sizes = (size for array in arrays for size in (*array.shape, array.below))
    said = (
        *sizes, *call.grid, *call.threadgroup, *call.constants.values(), call.reduction, call.flops,
    )  # fmt: skip
    known = (one for one in said if one is not None)
    return any(_has_value(one, ordinary) and not _has_value(one, empty) for one in known)


def _has_value(said: int | str, sizes: Sizes) -> bool:
    try:
        evaluate(said, sizes)
    except ExpressionError:
        return False
    return True


def _mixed(call: AdoptedCall, ladder: Sequence[int], at: int) -> Sizes:
    return {a: ladder[(at + _APART * i) % len(ladder)] for i, a in enumerate(call.axes)}


def _one_of_its_own(call: AdoptedCall, axis: str, step: int) -> Sizes:
    """A size of the author's, or its neighbour, beside small ones."""
    steps = step * call.multiples.get(axis, 1)
    return {a: call.sizes[0][a] + steps if a == axis else _BESIDE for a in call.axes}


def _allowed(call: AdoptedCall, wanted: Sequence[Sizes]) -> list[Sizes]:
    """Sizes by the rules of the axes, each once."""
    found = [{a: _ruled(call, a, size) for a, size in sizes.items()} for sizes in wanted]
    return list({tuple(sizes.values()): sizes for sizes in found}.values())


def _small(call: AdoptedCall, found: Sequence[Sizes]) -> list[Sizes]:
    """Those that are small; where none of them holds anything, the smallest that does as well."""
    small = [sizes for sizes in found if elements(call, sizes) <= MOST_ELEMENTS]
    full = [sizes for sizes in found if 0 not in sizes.values()]
    if any(sizes in small for sizes in full):
        return small
    return [*small, *sorted(full, key=lambda sizes: elements(call, sizes))[:1]]


def _ruled(call: AdoptedCall, axis: str, size: int) -> int:
    if axis in call.fixed:
        return call.sizes[0][axis]
    multiple = call.multiples.get(axis, 1)
    return -(-max(size, least(call, axis)) // multiple) * multiple


def elements(call: AdoptedCall, sizes: Mapping[str, int]) -> int:
    """Of all tensors."""
    arrays = (*call.arrays.values(), *call.outputs.values())
    return sum(math.prod(evaluate(size, sizes) for size in array.shape) for array in arrays)


def _other_params(call: AdoptedCall) -> list[Params]:
    """Values for the cases: a real number is never the same twice, whole ones are what they are."""
    real = {name: value for name, value in call.numbers.items() if isinstance(value, float)}
    if not real:
        return [{}, {}]
    return [
        {name: value * by + more for name, value in real.items()}
        for by, more in ((1, 0.0), (0.5, 0.0), (1, 0.25))
    ]


def _dealt(call: AdoptedCall, sizes: list[Sizes], params: list[Params]) -> list[CaseSizes]:
    return [CaseSizes(one, params[at % len(params)]) for at, one in enumerate(sizes)]


def bench(call: AdoptedCall) -> Iterator[CaseSizes]:
    """The author's own sizes."""
    yield from (CaseSizes(dict(sizes), {}) for sizes in call.sizes)
