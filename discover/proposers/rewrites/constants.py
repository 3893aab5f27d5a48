"""Another value for an integer constant of the kernel file: twice or half.

Where the launch rule holds the same number, it may mean the constant: both readings are variants.
"""

from __future__ import annotations

from collections.abc import Iterator

from discover.proposers.rewrites import Variant
from discover.proposers.rewrites.sizes import swap
from discover.proposers.rewrites.source import with_launch
from foundry.kernel import Kernel
from ops.spec import Op

LARGEST = 4096


def variants(kernel: Kernel, op: Op) -> Iterator[Variant]:
    """Each integer constant, in all stages that define it alike."""
    for index, stage in enumerate(kernel.launches):
        for place, (name, value) in enumerate(stage.constants):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                continue
            for new in (value * 2, value // 2):
                if not 1 <= new <= LARGEST or new == value:
                    continue
                label = f"{name} = {value} -> {new}"
                constants = (*stage.constants[:place], (name, new), *stage.constants[place + 1 :])
                alone = with_launch(kernel, index, constants=constants)
                grid, threadgroup = (swap(t, value, new) for t in (stage.grid, stage.threadgroup))
                launched = with_launch(
                    kernel, index, constants=constants, grid=grid, threadgroup=threadgroup
                )
                yield Variant(label, alone)
                if launched != alone:
                    yield Variant(f"{label}, in the launch too", launched)
