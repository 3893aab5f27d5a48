"""`python -m NAME tune`: verifies and times every kernel here, and learns where each one wins.

1. A kernel that does not give what the formula gives is off: it is named, and not timed.
2. Every kernel is timed against the baseline at every size of the sweep where it is proven.
3. Between two neighbours that both won, the size in the middle is timed as well: a box in which the
   middle loses is divided.
4. Points are kept after each kernel, so a run that is cut loses little; the next one goes on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import mlx.core as mx

from ..arguments import MatchedCall, Record, value
from ..bounds import unproven
from ..checking import arrays, equal_bits
from ..choice import key_of
from ..dispatch import CatalogFunction, here, verdict
from ..learning.regions import TimedPoint, neighbours
from ..learning.statistics import point_of
from .inputs import samples_of, timed_call
from .sizes import Sizes, of_package, swept
from .timing import TimingRules, paired_times

_MOST_ELEMENTS = 1 << 27


@dataclass(frozen=True)
class TuneRequest:
    """What is timed, and how."""

    bases: Mapping[str, list[Sizes]] = field(default_factory=dict)
    """Sizes by op, in place of those that the package carries; empty: those of the package."""
    ops: tuple[str, ...] = ()
    """Only these; empty: all."""
    dtypes: tuple[str, ...] = ()
    """Only these; empty: all."""
    anew: bool = False
    """Time again what is on file."""
    rules: TimingRules = field(default_factory=TimingRules)
    until_s: float = math.inf
    """By the clock of the rules: no kernel is begun after it."""


@dataclass(frozen=True)
class TunedKernel:
    """What came of one kernel."""

    op: str
    dtype: str
    hash: str
    off: str
    """Why it is off; empty when it is right."""
    points: int
    wins: int


def tune(functions: Mapping[str, CatalogFunction], request: TuneRequest) -> Iterator[TunedKernel]:
    """Verify and time what is asked for; yields each kernel when its points are on file."""
    for function in functions.values():
        if request.ops and function.op["name"] not in request.ops:
            continue
        if request.bases and function.op["name"] not in request.bases:
            continue
        for kernel in function.op["kernels"]:
            if request.dtypes and kernel["dtype"] not in request.dtypes:
                continue
            if request.rules.clock() > request.until_s:
                return
            yield _tuned(function, kernel, request)


def _tuned(function: CatalogFunction, kernel: Record, request: TuneRequest) -> TunedKernel:
    op, key = function.op, key_of(kernel)
    if request.anew:
        here().verdicts.pop(key, None)
        here().points.pop(key, None)
    found = verdict(op, kernel)
    names = (op["name"], kernel["dtype"], kernel["hash"])
    if not found.passed:
        return TunedKernel(*names, off=found.detail, points=0, wins=0)
    timed = {tuple(p.axes.items()) for p in here().points.get(key, [])}
    bases = request.bases.get(op["name"]) or of_package(op)
    fresh = [s for s in swept(op, bases) if tuple(s["axes"].items()) not in timed]
    here().add(key, _timed(function, kernel, fresh, request.rules))
    here().add(key, _timed(function, kernel, _middles(op, here().points[key]), request.rules))
    here().keep()
    points = here().points[key]
    return TunedKernel(*names, off="", points=len(points), wins=sum(p.wins for p in points))


def _timed(
    function: CatalogFunction, kernel: Record, sizes: Iterable[Sizes], rules: TimingRules
) -> list[TimedPoint]:
    op = function.op
    samples = samples_of(op, kernel["dtype"], arrays())
    found = []
    for wanted in sizes:
        if _elements(op, wanted) > _MOST_ELEMENTS:
            continue
        call = timed_call(op, kernel["dtype"], wanted, samples)
        if not unproven(op, kernel, call.sizes):
            found.append(_point(function, kernel, call, rules))
    return found


def _elements(op: Record, sizes: Sizes) -> int:
    tensors = (*op["inputs"], *op["outputs"])
    return sum(math.prod(value(d, sizes["axes"]) for d in t["shape"]) for t in tensors)


def _point(
    function: CatalogFunction, kernel: Record, call: MatchedCall, rules: TimingRules
) -> TimedPoint:
    baseline = _side(function.without_kernels(call), call)
    candidate = _side(function.with_kernel(kernel, call), call)
    same = equal_bits(baseline(), candidate())
    return point_of(call.sizes.axes, *paired_times(baseline, candidate, rules), same)


def _side(run: Callable[..., Sequence[mx.array]], call: MatchedCall) -> Any:
    return lambda: run(*call.arrays)


def _middles(op: Record, points: Sequence[TimedPoint]) -> list[Sizes]:
    """The sizes half way, by ratio, between neighbours that both won."""
    known = {tuple(p.axes.items()) for p in points}
    found: dict[Any, Sizes] = {}
    for a, b in neighbours(points):
        axes = {n: round(math.sqrt(size * b.axes[n])) for n, size in a.axes.items()}
        key = tuple(axes.items())
        is_new = key not in known and all(value(rule, axes) for rule in op["rules"])
        if a.wins and b.wins and is_new:
            found[key] = {"axes": axes, "params": dict(op["params"])}
    return list(found.values())
