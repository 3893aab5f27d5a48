"""Sizes at which a kernel may be called, learnt from the sizes at which it was timed.

A kernel wins at a point where it is faster, and all but certainly no more than 2 % slower. Between
points it may be called where they are neighbours, every corner of the box between them wins, and no
side of the box is longer than four times: nothing is said of sizes beyond the outermost points.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

Sizes = Mapping[str, int]
SLOWEST = 0.98
"""A kernel that is called is at least this times as fast as the baseline."""
CERTAIN = 0.95
WIDEST = 4.0
"""Largest ratio of two neighbours for anything to be said of what lies between them."""
_MOST_SIDES = 2
"""Axes that a box may stretch along."""


@dataclass(frozen=True)
class TimedPoint:
    """A kernel against the baseline at one set of sizes."""

    axes: Sizes
    speedup: float
    low: float
    """Lower end of the 95 % interval of the speedup."""
    high: float
    chance: float
    """Share of the resamples in which it is no more than 2 % slower."""
    same_bits: bool = False
    """Whether both sides gave the same bits here."""

    @property
    def wins(self) -> bool:
        """Whether the kernel may be called at these very sizes."""
        return self.speedup > 1.0 and self.low >= SLOWEST and self.chance >= CERTAIN


@dataclass(frozen=True)
class TunedRegion:
    """A box of sizes, ends included, in which a kernel may be called."""

    least: Sizes
    most: Sizes
    speedup: float
    """Of its corners the lowest."""
    confidence: float
    same_bits: bool

    def holds(self, axes: Sizes) -> bool:
        """Whether sizes lie in it."""
        return all(low <= axes[name] <= self.most[name] for name, low in self.least.items())

    @property
    def text(self) -> str:
        """Its sizes in words: `rows 1 to 64, cols 576`."""
        sides = ((name, low, self.most[name]) for name, low in self.least.items())
        return ", ".join(f"{n} {a}" if a == b else f"{n} {a} to {b}" for n, a, b in sides)


def learn(
    points: Iterable[TimedPoint], allowed: Callable[[Sizes], bool] = lambda _: True
) -> tuple[TunedRegion, ...]:
    """The boxes in which a kernel may be called, the largest first.

    Args:
        points: Where it was timed; of two with equal sizes the later one counts.
        allowed: Whether an op has these sizes at all; a corner that it does not have is not asked.
    """
    known = {_key(point.axes): point for point in points}
    names = list(next(iter(known.values())).axes) if known else []
    sides = [
        side for count in range(_MOST_SIDES + 1) for side in itertools.combinations(names, count)
    ]
    found = [box for side in sides for box in _boxes(known, side, names, allowed)]
    return _joined(found)


def covering(regions: Sequence[TunedRegion], axes: Sizes) -> TunedRegion | None:
    """Of the boxes that hold these sizes the one whose kernel wins by most; None: none does."""
    held = [region for region in regions if region.holds(axes)]
    return max(held, key=lambda region: region.speedup, default=None)


def neighbours(points: Iterable[TimedPoint]) -> Iterator[tuple[TimedPoint, TimedPoint]]:
    """Pairs of points that differ in one size, with none between them."""
    known = {_key(point.axes): point for point in points}
    for point in known.values():
        for name in point.axes:
            following = _next(known, point, name)
            if following is not None:
                yield point, following


Key = tuple[tuple[str, int], ...]


def _key(axes: Sizes) -> Key:
    return tuple(axes.items())


def _next(known: Mapping[Key, TimedPoint], point: TimedPoint, name: str) -> TimedPoint | None:
    line = [p for p in known.values() if _same_but(p.axes, point.axes, name)]
    after = [p for p in line if p.axes[name] > point.axes[name]]
    return min(after, key=lambda p: p.axes[name], default=None)


def _same_but(a: Sizes, b: Sizes, name: str) -> bool:
    return all(a[other] == size for other, size in b.items() if other != name)


def _boxes(
    known: Mapping[Key, TimedPoint],
    side: Sequence[str],
    names: Sequence[str],
    allowed: Callable[[Sizes], bool],
) -> Iterator[TunedRegion]:
    """Boxes that stretch along some axes from a point to its neighbours."""
    for point in known.values():
        ends = {name: _end(known, point, name, names, allowed) for name in side}
        corners = [
            {**point.axes, **dict(zip(side, values, strict=True))}
            for values in itertools.product(*((point.axes[n], ends[n] or 0) for n in side))
        ]
        if None in ends.values() or any(
            size > WIDEST * point.axes[n] for n, size in ends.items() if size
        ):
            continue
        met = [known.get(_key(corner)) for corner in corners if allowed(corner)]
        if met and all(p is not None and p.wins for p in met):
            yield _box([p for p in met if p is not None], corners)


def _end(
    known: Mapping[Key, TimedPoint],
    point: TimedPoint,
    name: str,
    names: Sequence[str],
    allowed: Callable[[Sizes], bool],
) -> int | None:
    """The next size along an axis; where the op has none beside this point, its neighbours'."""
    following = _next(known, point, name)
    if following is not None:
        return following.axes[name]
    if allowed({**point.axes, name: point.axes[name] + 1}):
        return None
    larger = [p.axes[name] for p in known.values() if p.axes[name] > point.axes[name]]
    return min(larger, default=None)


def _box(met: Sequence[TimedPoint], corners: Sequence[Sizes]) -> TunedRegion:
    names = corners[0]
    return TunedRegion(
        least={name: min(corner[name] for corner in corners) for name in names},
        most={name: max(corner[name] for corner in corners) for name in names},
        speedup=min(point.speedup for point in met),
        confidence=min(point.chance for point in met),
        same_bits=all(point.same_bits for point in met),
    )


def _joined(boxes: Sequence[TunedRegion]) -> tuple[TunedRegion, ...]:
    """Without those that lie in another; the largest first."""

    def extent(box: TunedRegion) -> int:
        return sum(box.least[name] != size for name, size in box.most.items())

    kept: list[TunedRegion] = []
    for box in sorted(boxes, key=extent, reverse=True):
        if not any(other.holds(box.least) and other.holds(box.most) for other in kept):
            kept.append(box)
    return tuple(kept)
