"""Another value for an integer constant of the kernel file: twice or half."""

from __future__ import annotations

from collections.abc import Iterator

from discover.proposers.rewrites import Variant
from discover.proposers.rewrites.source import with_stage
from foundry.kernel import Kernel
from ops.spec import Op

LARGEST = 4096


def variants(kernel: Kernel, op: Op) -> Iterator[Variant]:
    """Each integer constant, in all stages that define it alike."""
    for index, stage in enumerate(kernel.stages):
        for place, (name, value) in enumerate(stage.constants):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                continue
            for new in (value * 2, value // 2):
                if 1 <= new <= LARGEST and new != value:
                    constants = list(stage.constants)
                    constants[place] = (name, new)
                    changed = with_stage(kernel, index, constants=tuple(constants))
                    yield Variant(f"{name} = {value} -> {new}", changed)
