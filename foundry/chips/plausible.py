"""Whether what a profile saw can be all of a kernel's work. Pure.

1. Of a large grid only some threadgroups are profiled, always the same ones. A right kernel may
   leave its work to others: then next to nothing is predicted for it, and nothing of that is true.
   What an op cannot do without is memory traffic, and that is counted.
2. A kernel is profiled as the compiler of another GPU takes it. One that asks the preprocessor who
   compiles it may have been proven as one text and profiled as another.
"""

from __future__ import annotations

import re

from foundry.kernel import Kernel
from foundry.msl.gpu.profile import GpuProfile
from ops.spec import Op, bytes_moved
from ops.workload import Workload

_SECTOR_BYTES = 32
_ATOMIC_BYTES = 4
_SHARE = 0.5
"""Of the least traffic; a sample of a balanced kernel comes within a tenth of it."""
_RESERVED = re.compile(
    r"\b(?!__(?:METAL_\w+|AIR64__|attribute__|restrict(?:__)?|func__|LINE__)\b)__\w+|\b_Pragma\b|##|%:%:"
)
"""Names that belong to compilers, or are put together, but for those that are the same in all that
build Metal here."""
ASKS = "it asks who compiles it, and it is profiled as another compiler takes it"
TOO_LITTLE = "its profiled threadgroups move too little to stand for all of them"


def asks_who_compiles(kernel: Kernel) -> bool:
    """Whether its text may be another for another compiler."""
    texts = (kernel.header, *(launch.body for launch in kernel.launches))
    return any(_RESERVED.search(text) for text in texts)


def traffic_bytes(profile: GpuProfile) -> float:
    """What SIMD-groups move to and from arrays in device memory, all launches together."""
    return sum(
        _SECTOR_BYTES * sum(array.sectors for array in (*launch.loads, *launch.stores))
        + _ATOMIC_BYTES * launch.atomics
        for launch in profile.launches
    )


def is_whole(profile: GpuProfile, op: Op, workload: Workload, known_bytes: float) -> bool:
    """Whether a kernel moves about as much as it must.

    Args:
        profile: The kernel's.
        op: What it computes.
        workload: What it was profiled on.
        known_bytes: Traffic of an honest kernel there: inputs may spare an op what its own model
            counts.
    """
    return traffic_bytes(profile) >= _SHARE * min(bytes_moved(op, workload), known_bytes)
