"""Several rows for a threadgroup: SIMD-groups side by side, or one after another in a loop.

It takes a launch with one SIMD-group, or one thread, for each threadgroup position, whose threads
know one another through SIMD-group functions alone.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

from discover.proposers.rewrites import Variant
from discover.proposers.rewrites.sizes import in_body
from discover.proposers.rewrites.source import free_name, names, pieces, plain, taken_names
from foundry.kernel import Kernel, KernelLaunch
from foundry.msl.frontend.tokens import NAME
from ops.spec import Op

BESIDE, AFTER = (2, 4, 8), (2, 4)
_LANES = 32
_GROUP = "threadgroup_position_in_grid"
_LANE = {"thread_index_in_simdgroup", "thread_index_in_threadgroup"}
_TIED = ("thread", "barrier", "atomic", "simdgroup_index", "grid")


def variants(kernel: Kernel, op: Op) -> Iterator[Variant]:
    """Each launch of one SIMD-group a threadgroup, by each number of rows, in both ways."""
    for index, launch in enumerate(kernel.launches):
        groups = _groups(launch)
        if groups is None or not _alone(launch):
            continue
        made = [(f"{n} SIMD-groups to a threadgroup", _beside(launch, n)) for n in BESIDE]
        if (count := in_body(groups, kernel, launch, op)) is not None:
            made += [
                (f"{n} rows to a SIMD-group", _after(kernel, launch, n, groups, count))
                for n in AFTER
            ]
        for label, changed in made:
            launches = (*kernel.launches[:index], changed, *kernel.launches[index + 1 :])
            yield Variant(label, dataclasses.replace(kernel, launches=launches))


def _groups(launch: KernelLaunch) -> str | None:
    """Threadgroups along x, as an expression; None where that is not `... * 32`."""
    if launch.threadgroup != (_LANES, 1, 1):
        return None
    found = re.fullmatch(r"\s*(\w+)\s*\*\s*32\s*", str(launch.grid[0]))
    return found[1] if found and launch.grid[1:] == (1, 1) else None


def _alone(launch: KernelLaunch) -> bool:
    """Whether the position of the threadgroup and the lane are all that threads are told by."""
    used = names(launch.body)
    tied = {name for name in used if any(part in name for part in _TIED)} - _LANE - {_GROUP}
    return _GROUP in used and not tied and "return" not in used and _plain_uses(launch.body)


def _plain_uses(body: str) -> bool:
    tokens = pieces(plain(body))
    places = [i for i, piece in enumerate(tokens) if piece.text == _GROUP]
    return all([p.text for p in tokens[i + 1 : i + 3]] == [".", "x"] for i in places)


def _beside(launch: KernelLaunch, count: int) -> KernelLaunch:
    group = f"({_GROUP}.x * {count}u + simdgroup_index_in_threadgroup)"
    body = _moved(plain(launch.body), group)
    return dataclasses.replace(launch, threadgroup=(_LANES * count, 1, 1), body=body, lines={})


def _after(
    kernel: Kernel, launch: KernelLaunch, count: int, groups: str, whole: str
) -> KernelLaunch:
    taken = taken_names(kernel, launch)
    step, at = free_name("row_step", taken), free_name("row_at", taken)
    body = (
        f"for (uint {step} = 0; {step} < {count}; ++{step}) {{\n"
        f"const uint {at} = {_GROUP}.x * {count}u + {step};\n"
        f"if ({at} >= {whole}) {{\nbreak;\n}}\n"
        f"{_moved(plain(launch.body), at)}\n}}"
    )
    grid = (f"ceildiv({groups}, {count}) * {_LANES}", *launch.grid[1:])
    return dataclasses.replace(launch, body=body, grid=grid, lines={})


def _moved(body: str, group: str) -> str:
    """The body with the threadgroup's position replaced, and the lane by that of the SIMD-group."""
    tokens = pieces(body)
    found, last = [], 0
    for index, piece in enumerate(tokens):
        if piece.token.kind == NAME and piece.text == _GROUP:
            found += [body[last : piece.at], group]
            last = tokens[index + 2].end
        elif piece.text == "thread_index_in_threadgroup":
            found += [body[last : piece.at], "thread_index_in_simdgroup"]
            last = piece.end
    return "".join([*found, body[last:]])
