"""How freely the compiler may rearrange floating-point arithmetic."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from discover.proposers.rewrites import Variant
from foundry.kernel import MATH_MODES, Kernel
from ops.spec import Op


def variants(kernel: Kernel, op: Op) -> Iterator[Variant]:
    """Each mode for all launches together."""
    for mode in MATH_MODES:
        if any(launch.math_mode != mode for launch in kernel.launches):
            launches = tuple(
                dataclasses.replace(launch, math_mode=mode, lines={}) for launch in kernel.launches
            )
            yield Variant(f"math mode {mode}", dataclasses.replace(kernel, launches=launches))
