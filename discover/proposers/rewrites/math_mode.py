"""How freely the compiler may rearrange floating-point arithmetic."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from discover.proposers.rewrites import Variant
from foundry.kernel import MATH_MODES, Kernel
from ops.spec import Op


def variants(kernel: Kernel, op: Op) -> Iterator[Variant]:
    """Each mode for all stages together."""
    for mode in MATH_MODES:
        if any(stage.math_mode != mode for stage in kernel.stages):
            stages = tuple(
                dataclasses.replace(stage, math_mode=mode, lines={}) for stage in kernel.stages
            )
            yield Variant(f"math mode {mode}", dataclasses.replace(kernel, stages=stages))
