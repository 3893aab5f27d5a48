"""`python -m NAME tune`: verifies and times every kernel here, and learns where each one wins.

1. A kernel that does not give what the formula gives is off: it is named, and not timed.
2. Every kernel is timed at every size of the sweep where it is proven, against the fastest way to
   do without it on this machine: any baseline of the op, or the code of the layers it is put into.
3. Between two neighbours that both won and are more than twice apart, the size in the middle is
   timed as well: a box in which the middle loses is divided.
4. Each point is kept as it is found, so a run that is cut loses little; the next one goes on. A
   size that raises is named, and costs no other.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..arguments import MatchedCall, Record, Sizes, keeps_rules
from ..bounds import elements_of, unproven
from ..checking import arrays, has_bits_of
from ..choice import distinct, key_of
from ..dispatch import CatalogFunction, here, verdict
from ..learning.regions import TimedPoint, key_of_sizes, neighbours
from ..learning.statistics import PairedTimes
from ..replaced import bits_of
from ..running import Run, without_kernels
from .inputs import samples_of, timed_call
from .rivals import against, fastest, hardest
from .sizes import TimedSizes, of_package, swept
from .timing import TimingRules, side_of

_MOST_ELEMENTS = 1 << 27
_PLACEMENTS = 2
"""Inputs of its own that each size is measured on: where they lie may decide a few percent."""
_NEAR = 2.0
"""Between winning neighbours that are no farther apart by ratio nothing is timed."""


@dataclass(frozen=True)
class TuneRequest:
    """What is timed, and how."""

    bases: Mapping[str, list[TimedSizes]] | None = None
    """Sizes by op; ops without any are not timed. None: those that the package carries."""
    ops: tuple[str, ...] = ()
    """Only these; empty: all."""
    dtypes: tuple[str, ...] = ()
    """Only these; empty: all."""
    anew: bool = False
    """Verify and time again what is on file; a time stands until there is a new one."""
    rules: TimingRules = field(default_factory=TimingRules)
    until_s: float = math.inf
    """By the clock of the rules: no size is begun after it."""

    @property
    def is_over(self) -> bool:
        """Whether its time is up."""
        return self.rules.clock() > self.until_s


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
    against: Mapping[str, int] = field(default_factory=dict)
    """Points by the baseline that was the fastest there."""
    untimed: tuple[str, ...] = ()
    """Sizes that raised, and what; where nothing could be timed, why."""
    left: int = 0
    """Sizes that wait for the next run: time was up."""


@dataclass
class _Outcome:
    """What became of the sizes of one kernel that were not timed."""

    failed: list[str] = field(default_factory=list)
    skipped: str = ""
    """Why the last size that was passed by was so."""
    fitting: int = 0
    """Sizes at which the kernel may be timed, those that are known among them."""
    left: int = 0


def asked_for(
    functions: Mapping[str, CatalogFunction], request: TuneRequest
) -> list[tuple[CatalogFunction, Record]]:
    """The kernels that a request names, with their functions."""
    return [
        (function, kernel)
        for name, function in functions.items()
        if (not request.ops or name in request.ops)
        and (request.bases is None or name in request.bases)
        for kernel in distinct(function.op)
        if not request.dtypes or kernel["dtype"] in request.dtypes
    ]


def tune(functions: Mapping[str, CatalogFunction], request: TuneRequest) -> Iterator[TunedKernel]:
    """Verify and time what is asked for; yields each kernel when its points are on file.

    Each kernel has an equal share of the time that is left, so that a short run learns something of
    all; those with the fewest sizes come first, and leave to the others what they do not need.
    """
    kernels = asked_for(functions, request)
    kernels.sort(key=lambda one: len(swept(one[0].op, _bases(one[0].op, request))))
    for at, (function, kernel) in enumerate(kernels):
        if request.is_over:
            return
        now = request.rules.clock()
        share = (request.until_s - now) / (len(kernels) - at)
        yield _tuned(function, kernel, replace(request, until_s=now + share))


def _bases(op: Record, request: TuneRequest) -> list[TimedSizes]:
    return of_package(op) if request.bases is None else request.bases[op["name"]]


def _tuned(function: CatalogFunction, kernel: Record, request: TuneRequest) -> TunedKernel:
    op, key = function.op, key_of(kernel)
    if request.anew:
        here().doubt(key)
    found = verdict(op, kernel)
    names = (op["name"], kernel["dtype"], kernel["hash"])
    if not found.passed:
        return TunedKernel(*names, off=found.detail, points=0, wins=0)
    said = _Outcome()
    sizes = swept(op, _bases(op, request))
    if request.anew:
        sizes += _known_beside(op, here().points.get(key, []), sizes)
    _time(function, kernel, sizes, request, said)
    middles = _middles(op, here().points.get(key, []))
    _time(function, kernel, middles, replace(request, anew=False), said)
    points = here().points.get(key, [])
    if said.skipped and not said.fitting:
        said.failed.append(f"no size was timed: {said.skipped}")
    return TunedKernel(
        *names,
        off="",
        points=len(points),
        wins=sum(point.wins for point in points),
        against=dict(Counter(point.baseline for point in points)),
        untimed=tuple(said.failed),
        left=said.left,
    )


def _time(
    function: CatalogFunction,
    kernel: Record,
    sizes: Iterable[TimedSizes],
    request: TuneRequest,
    said: _Outcome,
) -> None:
    """Time a kernel and keep every point as it is found; what was not timed is said."""
    op, key = function.op, key_of(kernel)
    on_file = () if request.anew else here().points.get(key, ())
    known = {key_of_sizes(point.axes) for point in on_file}
    for wanted in sizes:
        if why := _unfit(op, kernel, wanted):
            said.skipped = why
            continue
        said.fitting += 1
        if key_of_sizes(wanted["axes"]) in known:
            continue
        if request.is_over:
            said.left += 1
            continue
        try:
            here().add(key, [_point(function, kernel, wanted, request.rules)])
        except Exception as error:  # whatever it is, the other sizes are timed
            said.failed.append(f"{wanted['axes']}: {type(error).__name__}: {error}")
        else:
            here().keep()


def _unfit(op: Record, kernel: Record, wanted: TimedSizes) -> str:
    """Why a kernel is not timed at some sizes; empty where it is."""
    at = Sizes(dict(wanted["axes"]), dict(wanted["params"]), types={}, lead=None, folds=())
    if (elements := elements_of(op, at)) > _MOST_ELEMENTS:
        sizes = ", ".join(f"{name}={size}" for name, size in at.axes.items())
        return f"{sizes} has {elements} elements; at most {_MOST_ELEMENTS} are timed"
    return unproven(op, kernel, at)


def _point(
    function: CatalogFunction, kernel: Record, sizes: TimedSizes, rules: TimingRules
) -> TimedPoint:
    """The point at some sizes, where the kernel is proven."""
    op, dtype = function.op, kernel["dtype"]
    samples = samples_of(op, dtype, arrays())
    # All are held while each is timed: the next one lies elsewhere in memory.
    calls = [timed_call(op, dtype, sizes, samples) for _ in range(_PLACEMENTS)]
    rivals, same = fastest(function, calls[0], rules), True
    measured: dict[str, list[PairedTimes]] = {rival.name: [] for rival in rivals}
    for call in calls:
        by_kernel = _looked_up(function, kernel, call)
        same = same and has_bits_of(
            bits_of(op, function.fallback), op, call, by_kernel(*call.arrays)
        )
        sides = {r.name: side_of(without_kernels(op, r, call), call.arrays) for r in rivals}
        for name, times in against(sides, side_of(by_kernel, call.arrays), rules).items():
            measured[name].append(times)
    return hardest(calls[0].sizes.axes, measured, same_bits=same)


def _looked_up(function: CatalogFunction, kernel: Record, call: MatchedCall) -> Run:
    """A kernel as calls find it: by a look-up, which the baseline alone would not need."""
    numbers = call.sizes.params
    kept = {function.key(call.arrays, numbers): function.with_kernel(kernel, call)}
    return lambda *given: kept[function.key(given, numbers)](*given)


def _known_beside(
    op: Record, points: Sequence[TimedPoint], sizes: Iterable[TimedSizes]
) -> list[TimedSizes]:
    """The sizes of points that are not among some sizes."""
    seen = {key_of_sizes(wanted["axes"]) for wanted in sizes}
    return [
        {"axes": dict(point.axes), "params": dict(op["params"])}
        for point in points
        if key_of_sizes(point.axes) not in seen
    ]


def _middles(op: Record, points: Sequence[TimedPoint]) -> list[TimedSizes]:
    """The sizes half way, by ratio, between neighbours that both won and are far apart."""
    found: dict[Any, TimedSizes] = {}
    for a, b in neighbours(points):
        if not (a.wins and b.wins and _are_far(a.axes, b.axes)):
            continue
        axes = {n: round(math.sqrt(size * b.axes[n])) for n, size in a.axes.items()}
        if keeps_rules(op, axes):
            found[key_of_sizes(axes)] = {"axes": axes, "params": dict(op["params"])}
    return list(found.values())


def _are_far(a: Mapping[str, int], b: Mapping[str, int]) -> bool:
    return any(b[name] > _NEAR * size for name, size in a.items())
