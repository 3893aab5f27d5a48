"""Give each thread several elements: fewer threads, longer loops."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from discover.proposers.rewrites import Variant
from discover.proposers.rewrites.sizes import in_body
from discover.proposers.rewrites.source import free_name, names, pieces, plain, taken_names
from foundry.kernel import Kernel, KernelLaunch
from ops.spec import Op

FACTORS = (2, 4, 8, 16, 64)
POSITION = "thread_position_in_grid"
_TIED = ("barrier", "simd", "quad", "threadgroup", "threads_per", "atomic", "grid_size", "origin")
"""Parts of names that tie a thread to its neighbours or to the shape of the launch."""


def variants(kernel: Kernel, op: Op) -> Iterator[Variant]:
    """Each launch whose threads are independent, by each factor, neighbours or strides apart."""
    for index, launch in enumerate(kernel.launches):
        threads = in_body(launch.grid[0], kernel, launch, op)
        if threads is None or not _independent(launch):
            continue
        for factor in FACTORS:
            for how in ("neighbouring", "strided"):
                changed = _coarse(kernel, launch, factor, threads, strided=how == "strided")
                launches = (*kernel.launches[:index], changed, *kernel.launches[index + 1 :])
                yield Variant(
                    f"{factor} {how} elements a thread",
                    dataclasses.replace(kernel, launches=launches),
                )


def _independent(launch: KernelLaunch) -> bool:
    found = names(launch.body)
    tied = any(part in name for name in found for part in _TIED)
    return POSITION in found and not tied and "return" not in found and not _odd_uses(launch)


def _odd_uses(launch: KernelLaunch) -> bool:
    """Whether the position is used other than as `.x`, `.y`, `.z`."""
    tokens = pieces(plain(launch.body))
    places = [i for i, piece in enumerate(tokens) if piece.text == POSITION]
    return any(
        [p.text for p in tokens[i + 1 : i + 3]] not in ([".", "x"], [".", "y"], [".", "z"])
        for i in places
    )


def _coarse(
    kernel: Kernel, launch: KernelLaunch, factor: int, threads: str, *, strided: bool
) -> KernelLaunch:
    wanted = ("threads_x", "coarse_step", "coarse_x")
    count, step, at = (free_name(name, taken_names(kernel, launch)) for name in wanted)
    stride = f"(({count} + {factor - 1}u) / {factor}u)"
    own = f"{POSITION}.x"
    first = f"{own} + {step} * {stride}" if strided else f"{own} * {factor}u + {step}"
    body = (
        f"const uint {count} = {threads};\n"
        f"for (uint {step} = 0; {step} < {factor}; ++{step}) {{\n"
        f"const uint {at} = {first};\n"
        f"if ({at} >= {count}) {{\nbreak;\n}}\n"
        f"{_moved(plain(launch.body), at)}\n}}"
    )
    x, y, z = launch.grid
    grid = (f"ceildiv({x}, {factor})", y, z)
    return dataclasses.replace(launch, body=body, grid=grid, lines={})


def _moved(body: str, at: str) -> str:
    """The body with `thread_position_in_grid.x` replaced by a name."""
    tokens = pieces(body)
    found, last = [], 0
    for index, piece in enumerate(tokens):
        if piece.text == POSITION and tokens[index + 2].text == "x":
            found += [body[last : piece.at], at]
            last = tokens[index + 2].end
    return "".join([*found, body[last:]])
