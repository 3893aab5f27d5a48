"""Another number of threads in a threadgroup: twice or half.

A kernel that deals its work to the lanes of a SIMD-group counts on 32 of them side by side: there
32 stays as it is, and nothing becomes less.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

from discover.proposers.rewrites import Variant
from discover.proposers.rewrites.sizes import swap, swap_number
from discover.proposers.rewrites.source import names, plain, with_launch
from foundry.kernel import MAX_THREADS_PER_THREADGROUP, Kernel, KernelLaunch
from foundry.msl.frontend.tokens import NUMBER, tokenize
from ops.spec import Op

_LANES = 32
"""Of a SIMD-group, on every Apple GPU."""


def variants(kernel: Kernel, op: Op) -> Iterator[Variant]:
    """Each literal size of a threadgroup, changed alone and wherever its number stands."""
    for index, launch in enumerate(kernel.launches):
        for size in sorted({d for d in launch.threadgroup if isinstance(d, int) and d > 1}):
            for new in (size * 2, size // 2):
                if not _fits(launch, size, new) or _splits_lanes(launch, size, new):
                    continue
                label = f"threadgroup {size} -> {new}"
                group = swap(launch.threadgroup, size, new)
                yield Variant(label, with_launch(kernel, index, threadgroup=group))
                everywhere = dataclasses.replace(
                    launch,
                    threadgroup=group,
                    grid=swap(launch.grid, size, new),
                    constants=tuple((n, _number(v, size, new)) for n, v in launch.constants),
                    body=numbers(plain(launch.body), size, new),
                    lines={},
                )
                launches = [*kernel.launches[:index], everywhere, *kernel.launches[index + 1 :]]
                changed = dataclasses.replace(kernel, launches=tuple(launches))
                if changed.launches[index] != dataclasses.replace(launch, threadgroup=group):
                    yield Variant(f"{label}, wherever it stands", changed)


def _fits(launch: KernelLaunch, size: int, new: int) -> bool:
    total = 1
    for dimension in swap(launch.threadgroup, size, new):
        if isinstance(dimension, int):
            total *= dimension
    return new >= 1 and total <= MAX_THREADS_PER_THREADGROUP


def _splits_lanes(launch: KernelLaunch, size: int, new: int) -> bool:
    is_along_lanes = launch.threadgroup[0] == size and (size == _LANES or new < _LANES)
    return is_along_lanes and any("simd" in name for name in names(launch.body))


def _number(value: int | bool | str, size: int, new: int) -> int | bool | str:
    return value if isinstance(value, bool) else swap_number(value, size, new)


def numbers(body: str, size: int, new: int) -> str:
    """The body with the literal replaced, its suffix kept: `32u` becomes `64u`."""
    literal = re.compile(rf"{size}(?P<suffix>[uU]?)")
    found = []
    for token in tokenize(body):
        match = literal.fullmatch(token.text) if token.kind == NUMBER else None
        found.append(f"{new}{match['suffix']}" if match else token.text)
    return "".join(found)
