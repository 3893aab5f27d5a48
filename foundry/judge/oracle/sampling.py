"""Parts of large workloads that the oracle can answer: a few places along independent axes.

An axis is independent when the result at some of its places depends on those places alone, as with
the rows of a softmax. No op states it: the oracle is asked, on small workloads, whether the result
of a part is the part of the result. A large workload is then run as a whole, and held to the oracle
at a few places of its independent axes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from foundry.errors import UsageError
from foundry.judge.oracle.form import check_form
from foundry.judge.oracle.inputs import make_inputs
from foundry.judge.oracle.pace import work
from foundry.program import Arrays
from ops.spec import Op, elements_of, plain_flops, widen
from ops.texts.expressions import names_in
from ops.workload import Case, Tensor, Workload, shape_of

_TRIED_ELEMENTS = 1 << 14
_TRIED = 3
"""Small workloads on which independence must show."""
_LONGEST, _DRAWS = 2, 4
"""Those with the longest axes beside them, and how often: a mask of blocks tells places of one
block from none, and two places may be alike by chance."""
_EDGES = 16
"""Powers of two from this exponent on have a place on either side of them sampled."""
_PLACES, _FEWEST = 64, 2
"""Most and fewest places of an axis that are asked for."""
_MOST_ELEMENTS = 1 << 16
_MOST_FLOPS = 1 << 23
_THIN = 3
"""Places that are left of an axis at least: the second begins where no vector need be aligned."""

Places = Mapping[str, NDArray[np.int64]]


@dataclass(frozen=True)
class Sample:
    """Some places of a large workload, as a workload of its own."""

    whole: Workload
    part: Workload
    places: Places
    """Places of each independent axis, ascending."""

    def of(self, tensor: Tensor, array: NDArray[Any]) -> NDArray[Any]:
        """The sampled part of one of the op's tensors."""
        for position, name in enumerate(tensor.shape):
            if isinstance(name, str) and name in self.places:
                array = array.take(self.places[name], axis=position)
        return array

    def inputs(self, op: Op, whole: Arrays) -> Arrays:
        """The part's inputs; parameters stay as they are."""
        tensors = {t.name: t for t in op.inputs}
        return {n: self.of(tensors[n], a) if n in tensors else a for n, a in whole.items()}


def sample(op: Op, workload: Workload, rng: Generator) -> Sample | None:
    """Places at both ends, beside powers of two and at random, few enough for the oracle if it can.

    None where the op has no independent axis.
    """
    free = [name for name in independent_axes(op) if workload.axes[name] > _FEWEST]
    wanted = dict.fromkeys(free, _PLACES)
    while free:
        places = {name: _drawn(workload.axes[name], wanted[name], rng) for name in free}
        part = _part(op, workload, {name: len(found) for name, found in places.items()})
        largest = max(free, key=lambda name: wanted[name])
        if part is None:
            return None
        if _is_small(op, part) or wanted[largest] <= _FEWEST:
            return Sample(workload, part, places)
        wanted[largest] //= 2
    return None


def sample_at(op: Op, workload: Workload, places: Places) -> Sample | None:
    """The sample of these places of all independent axes; None where it is too much."""
    part = _part(op, workload, {name: len(found) for name, found in places.items()})
    return Sample(workload, part, places) if part is not None and _is_small(op, part) else None


def thin(op: Op, workload: Workload, most: int) -> Workload | None:
    """The workload with so few places of its independent axes that little work is left.

    Other axes, and with them the strides, stay as they are. None where that is still too much.
    """
    sizes = dict(workload.axes)
    for axis in independent_axes(op):
        part = _part(op, workload, sizes)
        if part is not None and work(op, part) > most:
            sizes[axis] = min(sizes[axis], max(_THIN, sizes[axis] * most // work(op, part)))
    part = _part(op, workload, sizes)
    return part if part is not None and work(op, part) <= most else None


def _drawn(size: int, count: int, rng: Generator) -> NDArray[np.int64]:
    if size <= count:
        return np.arange(size)
    edges = {0, size - 1}
    if count > 8:
        powers = (1 << e for e in range(_EDGES, size.bit_length()))
        edges |= {p + side for p in powers for side in (-1, 0) if p + side < size}
    drawn = rng.integers(0, size, max(0, count - len(edges)))
    return np.array(sorted(edges | set(drawn.tolist())), dtype=np.int64)


def _is_small(op: Op, part: Workload) -> bool:
    return elements_of(op, part) <= _MOST_ELEMENTS and plain_flops(op, part) <= _MOST_FLOPS


def _part(op: Op, workload: Workload, sizes: Mapping[str, int]) -> Workload | None:
    try:
        axes = {**workload.axes, **sizes}
        case = Case(axes, workload.params, "", workload.types, workload.absent)
        return op.workload(case, workload.dtype)
    except UsageError:
        return None


def independent_axes(op: Op) -> tuple[str, ...]:
    """Axes along which the result of a part is the part of the result."""
    return _independent_axes(SameOp(op))


@dataclass(frozen=True, eq=False)
class SameOp:
    """An op that is told apart by identity: not all that it holds can be hashed."""

    op: Op

    def __hash__(self) -> int:
        return id(self.op)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SameOp) and other.op is self.op


@lru_cache(maxsize=256)
def _independent_axes(asked: SameOp) -> tuple[str, ...]:
    return tuple(axis for axis in asked.op.axis_names if _is_independent(asked.op, axis))


def _is_independent(op: Op, axis: str) -> bool:
    outputs = [t.shape for t in op.outputs]
    if not all(_is_plain(shape, axis) for shape in (*outputs, *(t.shape for t in op.inputs))):
        return False
    if not all(axis in shape for shape in outputs):
        return False
    small = list(_small(op, axis))
    longest = sorted(small[_TRIED:], key=lambda w: max(w.axes.values()), reverse=True)[:_LONGEST]
    tried = (*enumerate(small[:_TRIED]), *itertools.product(range(_DRAWS), longest))
    return len(small) >= _TRIED and all(_agrees(op, axis, w, seed) for seed, w in tried)


def _is_plain(shape: tuple[Any, ...], axis: str) -> bool:
    """Whether the axis is dimensions of its own, once at most, or none."""
    plain = sum(dim == axis for dim in shape)
    meant = sum(isinstance(dim, str) and axis in names_in(dim) for dim in shape)
    return bool(plain == meant <= 1)


def _small(op: Op, axis: str) -> Iterator[Workload]:
    """Small cases with several places of the axis; then others, with three."""
    known = [op.workload(case, op.dtypes[0]) for case in (*op.visible, *op.hidden)]
    longer = (_part(op, w, {axis: _THIN}) for w in known if w.axes[axis] == 1)
    for workload in itertools.chain(known, longer):
        if workload is None or workload.axes[axis] < 2:
            continue
        elements = sum(math.prod(shape_of(t, workload)) for t in op.inputs)
        if 0 < elements <= _TRIED_ELEMENTS:
            yield workload


def _agrees(op: Op, axis: str, workload: Workload, seed: int) -> bool:
    rng = np.random.default_rng(seed)
    size = workload.axes[axis]
    places = rng.permutation(size)[: max(1, (size + 1) // 2)]
    part = _part(op, workload, {axis: len(places)})
    if part is None:
        return False
    found = Sample(workload, part, {axis: places})
    inputs = make_inputs(op, workload, "normal", seed)
    try:
        whole = op.oracle(widen(op, workload, inputs), workload)
        alone = op.oracle(widen(op, part, found.inputs(op, inputs)), part)
        check_form(op, workload, whole)
        check_form(op, part, alone)
    except Exception:
        # An index that points out of the part: its axis is not independent. An oracle that is
        # wrong for other reasons is told of when it says what is right.
        return False
    pairs = zip(op.outputs, whole, alone, strict=True)
    return all(bool(np.allclose(found.of(t, w), a, rtol=1e-9, equal_nan=True)) for t, w, a in pairs)
