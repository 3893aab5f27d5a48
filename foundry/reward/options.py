"""What counts in a reward, and how long an answer may take: one value that travels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Speed = Literal["none", "measured", "predicted"]


@dataclass(frozen=True)
class Shares:
    """What an answer earns for how far it got."""

    parsed: float = 0.05
    """A kernel file of the op, though it does not build, or is not clean."""
    clean: float = 0.1
    """The sanitizer found nothing, but an output is wrong."""
    right: float = 0.6
    """A kernel that was proven; up to `speed` comes on top."""
    speed: float = 0.4
    """A kernel as fast as what it is compared with earns half of it, one three times as fast three
    quarters. Without speed, a right kernel earns this as well."""


@dataclass(frozen=True)
class RewardOptions:
    """Options of a reward."""

    device: str = "auto"
    workers: int | None = None
    """Kernels judged at once; None: one per core."""
    speed: Speed = "none"
    """`measured`: against MLX on the device; `predicted`: by the chip model against the op's first
    template on `chip`; `none`: right is all that counts."""
    chip: str = "m4-max"
    limit_s: float = 120.0
    """Seconds from the start of a call in which answers are judged; what is late earns nothing."""
    build_limit_s: float = 20.0
    run_limit_s: float = 4.0
    """Of one workload."""
    shares: Shares = field(default_factory=Shares)
