"""Sizes at which a kernel may be called, learnt from the sizes at which it was timed.

A kernel wins at a point where it is all but certainly faster. Between
points it may be called where they are neighbours, every corner of the box between them wins, and no
side of the box is longer than four times: nothing is said of sizes beyond the outermost points.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

AxisSizes = Mapping[str, int]
CERTAIN = 0.95
WIDEST = 4.0
"""Largest ratio of two neighbours for anything to be said of what lies between them."""
_MOST_SIDES = 2
"""Axes that a box may stretch along."""


@dataclass(frozen=True)
class TimedPoint:
    """A kernel against the fastest baseline at one set of sizes."""

    axes: AxisSizes
    speedup: float
    low: float
    """Lower end of the 95 % interval of the speedup."""
    high: float
    chance: float
    """How sure it is that the kernel is the faster one."""
    same_bits: bool = False
    """Whether it gave the bits of the code that it replaces here."""
    baseline: str = ""
    """Name of the fastest baseline: what the kernel was timed against."""

    @property
    def wins(self) -> bool:
        """Whether the kernel may be called at these very sizes."""
        return self.low > 1.0 and self.chance >= CERTAIN


@dataclass(frozen=True)
class TunedRegion:
    """A box of sizes, ends included, in which a kernel may be called."""

    least: AxisSizes
    most: AxisSizes
    speedup: float
    """Of its corners the lowest."""
    confidence: float
    same_bits: bool

    def holds(self, axes: AxisSizes) -> bool:
        """Whether sizes lie in it."""
        return all(low <= axes[name] <= self.most[name] for name, low in self.least.items())

    def corners(self) -> Iterator[Key]:
        """Sizes at its ends, each once."""
        ends = [sorted({low, self.most[name]}) for name, low in self.least.items()]
        for values in itertools.product(*ends):
            yield key_of_sizes(dict(zip(self.least, values, strict=True)))

    @property
    def text(self) -> str:
        """Its sizes in words: `rows 1 to 64, cols 576`."""
        sides = ((name, low, self.most[name]) for name, low in self.least.items())
        return ", ".join(f"{n} {a}" if a == b else f"{n} {a} to {b}" for n, a, b in sides)


def learn(
    points: Iterable[TimedPoint], allowed: Callable[[AxisSizes], bool] = lambda _: True
) -> tuple[TunedRegion, ...]:
    """The boxes in which a kernel may be called, the largest first.

    Args:
        points: Where it was timed; of two with equal sizes the later one counts.
        allowed: Whether an op has these sizes at all; a corner that it does not have is not asked.
    """
    grid = PointGrid(points)
    sides = [
        side
        for count in range(_MOST_SIDES + 1)
        for side in itertools.combinations(grid.varying, count)
    ]
    return _joined([box for side in sides for box in _boxes(grid, side, allowed)])


class RegionIndex:
    """Boxes by the sizes along which none of them stretches: those of a model, mostly."""

    def __init__(self, regions: Sequence[TunedRegion]) -> None:
        names = regions[0].least if regions else ()
        self._fixed = [n for n in names if all(r.least[n] == r.most[n] for r in regions)]
        stretching = [n for n in names if n not in self._fixed]
        self._boxes: dict[tuple[int, ...], list[tuple[list[tuple[str, int, int]], TunedRegion]]]
        self._boxes = {}
        for region in sorted(regions, key=lambda region: -region.speedup):
            sides = [(n, region.least[n], region.most[n]) for n in stretching]
            of_these = self._boxes.setdefault(tuple(region.least[n] for n in self._fixed), [])
            of_these.append((sides, region))

    def covering(self, axes: AxisSizes) -> TunedRegion | None:
        """Of the boxes that hold some sizes the one that wins by most; None: none holds them."""
        for sides, region in self._boxes.get(tuple([axes[n] for n in self._fixed]), ()):
            for name, low, high in sides:
                if not low <= axes[name] <= high:
                    break
            else:
                return region
        return None


def neighbours(points: Iterable[TimedPoint]) -> Iterator[tuple[TimedPoint, TimedPoint]]:
    """Pairs of points that differ in one size, with none between them."""
    grid = PointGrid(points)
    for point in grid.points.values():
        for name in grid.varying:
            size = grid.following(point, name)
            if size is not None:
                yield point, grid.points[key_of_sizes({**point.axes, name: size})]


Key = tuple[tuple[str, int], ...]


def key_of_sizes(axes: AxisSizes) -> Key:
    """What points are told apart by."""
    return tuple(sorted(axes.items()))


class PointGrid:
    """Points by their sizes, and by the lines along which but one size changes."""

    def __init__(self, points: Iterable[TimedPoint]) -> None:
        self.points = {key_of_sizes(point.axes): point for point in points}
        sizes: dict[str, set[int]] = {}
        lines: dict[tuple[str, Key], list[int]] = {}
        for point in self.points.values():
            for name, size in point.axes.items():
                sizes.setdefault(name, set()).add(size)
                lines.setdefault(_line(point.axes, name), []).append(size)
        self._sizes = {name: sorted(found) for name, found in sizes.items()}
        self._lines = {line: sorted(found) for line, found in lines.items()}
        self.varying = [name for name, found in sizes.items() if len(found) > 1]
        """Axes along which points differ at all."""

    def following(self, point: TimedPoint, name: str) -> int | None:
        """The next size along an axis at which there is a point; None: this one is the last."""
        return _above(self._lines[_line(point.axes, name)], point.axes[name])

    def following_anywhere(self, point: TimedPoint, name: str) -> int | None:
        """The next size along an axis that any point has."""
        return _above(self._sizes[name], point.axes[name])


def _line(axes: AxisSizes, name: str) -> tuple[str, Key]:
    return name, tuple((other, size) for other, size in key_of_sizes(axes) if other != name)


def _above(sizes: Sequence[int], size: int) -> int | None:
    at = bisect.bisect_right(sizes, size)
    return sizes[at] if at < len(sizes) else None


def _boxes(
    grid: PointGrid, side: Sequence[str], allowed: Callable[[AxisSizes], bool]
) -> Iterator[TunedRegion]:
    """Boxes that stretch along some axes from a point to its neighbours."""
    for point in grid.points.values():
        ends = _ends(grid, point, side, allowed) if point.wins else None
        if ends is None:
            continue
        corners = [
            {**point.axes, **dict(zip(side, values, strict=True))}
            for values in itertools.product(*((point.axes[n], end) for n, end in ends.items()))
        ]
        met = [grid.points.get(key_of_sizes(corner)) for corner in corners if allowed(corner)]
        if met and all(p is not None and p.wins for p in met):
            yield _box([p for p in met if p is not None], corners)


def _ends(
    grid: PointGrid, point: TimedPoint, side: Sequence[str], allowed: Callable[[AxisSizes], bool]
) -> dict[str, int] | None:
    """Where a box from a point ends along each side; None where nothing is said so far."""
    found = {}
    for name in side:
        end = _end(grid, point, name, allowed)
        if end is None or end > WIDEST * point.axes[name]:
            return None
        found[name] = end
    return found


def _end(
    grid: PointGrid, point: TimedPoint, name: str, allowed: Callable[[AxisSizes], bool]
) -> int | None:
    """The next size along an axis; where the op has none beside this point, its neighbours'."""
    following = grid.following(point, name)
    if following is not None or allowed({**point.axes, name: point.axes[name] + 1}):
        return following
    return grid.following_anywhere(point, name)


def _box(met: Sequence[TimedPoint], corners: Sequence[AxisSizes]) -> TunedRegion:
    names = corners[0]
    return TunedRegion(
        least={name: min(corner[name] for corner in corners) for name in names},
        most={name: max(corner[name] for corner in corners) for name in names},
        speedup=min(point.speedup for point in met),
        confidence=min(point.chance for point in met),
        same_bits=all(point.same_bits for point in met),
    )


def _joined(boxes: Sequence[TunedRegion]) -> tuple[TunedRegion, ...]:
    """Without those that are sides of another; the largest first."""

    def extent(box: TunedRegion) -> int:
        return sum(box.least[name] != size for name, size in box.most.items())

    kept: list[TunedRegion] = []
    at: dict[Key, list[TunedRegion]] = {}
    for box in sorted(boxes, key=extent, reverse=True):
        # A side of a box begins in one of its corners.
        if any(other.holds(box.most) for other in at.get(key_of_sizes(box.least), [])):
            continue
        kept.append(box)
        for corner in box.corners():
            at.setdefault(corner, []).append(box)
    return tuple(kept)
