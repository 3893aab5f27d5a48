"""Where a kernel was measured to win on this chip: here, or where the package was built."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from ..arguments import Record
from ..device import chip
from .regions import AxisSizes, RegionIndex, TimedPoint, TunedRegion, key_of_sizes, learn


@dataclass(frozen=True)
class Winning:
    """Where a kernel may be called."""

    regions: tuple[TunedRegion, ...]
    elsewhere: str
    """Why it answers at no other sizes."""

    @cached_property
    def index(self) -> RegionIndex:
        """To find the region that holds some sizes."""
        return RegionIndex(self.regions)


def winning(
    kernel: Record, points: Sequence[TimedPoint], allowed: Callable[[AxisSizes], bool]
) -> Winning:
    """Where a kernel wins: what was timed here counts before what is on record.

    Args:
        kernel: The kernel and its record.
        points: Where it was timed here.
        allowed: Whether its op has some sizes at all.
    """
    recorded = _recorded(kernel)
    if not points:
        return recorded
    timed = {key_of_sizes(point.axes) for point in points}
    others = (region for region in recorded.regions if key_of_sizes(region.least) not in timed)
    said = "timed here, and not known to win at these sizes"
    return Winning((*learn(points, allowed), *others), said)


def _recorded(kernel: Record) -> Winning:
    """Where it won when the package was built, if that was on a chip like this one."""
    record = kernel["record"]
    if record["device_kind"] != "metal":
        name, kind = record["device_name"], record["device_kind"]
        return Winning((), f"timed on {name} ({kind}), never on an Apple GPU")
    if record["device_name"] != chip():
        return Winning((), f"timed on {record['device_name']}, this is {chip()}; run tune")
    if record["status"] != "faster":
        return Winning((), "proven, but not faster than the baseline where it was timed")
    regions = tuple(
        TunedRegion(r["axes"], r["axes"], r["speedup"], 0.95, same_bits=False)
        for r in record["regions"]
    )
    return Winning(regions, "outside the sizes it was timed at; run tune")
