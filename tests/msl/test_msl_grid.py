"""Every thread of the grid runs once and knows where it is, as on a GPU."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from foundry.engines.cpu import CpuEngine
from foundry.program import BuildFailure, Launch, Program, Size3, TensorSpec

SCALARS = (
    "dispatch_quadgroups_per_threadgroup",
    "dispatch_simdgroups_per_threadgroup",
    "quadgroup_index_in_threadgroup",
    "quadgroups_per_threadgroup",
    "simdgroup_index_in_threadgroup",
    "simdgroups_per_threadgroup",
    "thread_index_in_quadgroup",
    "thread_index_in_simdgroup",
    "thread_index_in_threadgroup",
    "threads_per_simdgroup",
)
TRIPLES = (
    "dispatch_threads_per_threadgroup",
    "grid_origin",
    "grid_size",
    "thread_position_in_grid",
    "thread_position_in_threadgroup",
    "threadgroup_position_in_grid",
    "threadgroups_per_grid",
    "threads_per_grid",
    "threads_per_threadgroup",
)
UNIFORM = (
    "dispatch_threads_per_threadgroup",
    "grid_size",
    "thread_position_in_grid",
    "threadgroups_per_grid",
    "threads_per_simdgroup",
)
SIZES: list[tuple[Size3, Size3]] = [
    ((1, 1, 1), (1, 1, 1)),
    ((7, 1, 1), (256, 1, 1)),
    ((100, 1, 1), (32, 1, 1)),
    ((1000, 1, 1), (256, 1, 1)),
    ((33, 5, 1), (8, 4, 1)),
    ((10, 7, 5), (4, 3, 2)),
    ((3, 50, 2), (5, 16, 3)),
    ((1, 1, 9), (1, 1, 4)),
    ((2048, 2, 1), (1024, 1, 1)),
    ((5000, 3, 1), (64, 2, 1)),
]


def product(size: Size3) -> int:
    return size[0] * size[1] * size[2]


def ceil_divide(a: int, b: int) -> int:
    return -(-a // b)


def points(size: Size3) -> Iterator[Size3]:
    for z in range(size[2]):
        for y in range(size[1]):
            for x in range(size[0]):
                yield x, y, z


def expected(grid: Size3, threadgroup: Size3) -> dict[Size3, dict[str, int | Size3]]:
    """The attributes of every thread, by its position in the grid, from the definitions."""
    full = tuple(min(t, g) for t, g in zip(threadgroup, grid, strict=True))
    groups = tuple(ceil_divide(g, t) for g, t in zip(grid, full, strict=True))
    table: dict[Size3, dict[str, int | Size3]] = {}
    for group in points(groups):
        size = tuple(min(f, g - f * i) for f, g, i in zip(full, grid, group, strict=True))
        for index, local in enumerate(points(size)):
            at = tuple(i * f + p for i, f, p in zip(group, full, local, strict=True))
            table[at] = {
                "dispatch_quadgroups_per_threadgroup": ceil_divide(product(full), 4),
                "dispatch_simdgroups_per_threadgroup": ceil_divide(product(full), 32),
                "quadgroup_index_in_threadgroup": index // 4,
                "quadgroups_per_threadgroup": ceil_divide(product(size), 4),
                "simdgroup_index_in_threadgroup": index // 32,
                "simdgroups_per_threadgroup": ceil_divide(product(size), 32),
                "thread_index_in_quadgroup": index % 4,
                "thread_index_in_simdgroup": index % 32,
                "thread_index_in_threadgroup": index,
                "threads_per_simdgroup": 32,
                "dispatch_threads_per_threadgroup": full,
                "grid_origin": (0, 0, 0),
                "grid_size": grid,
                "thread_position_in_grid": at,
                "thread_position_in_threadgroup": local,
                "threadgroup_position_in_grid": group,
                "threadgroups_per_grid": groups,
                "threads_per_grid": grid,
                "threads_per_threadgroup": size,
            }
    return table


@pytest.mark.parametrize("mode", ["flat", "groups", "fibres"])
@pytest.mark.parametrize(("grid", "threadgroup"), SIZES)
def test_attributes_of_every_thread(grid: Size3, threadgroup: Size3, mode: str) -> None:
    names = UNIFORM if mode == "flat" else SCALARS + TRIPLES
    columns = [(name, part) for name in names for part in ("xyz" if name in TRIPLES else " ")]
    stores = "".join(
        f"o[{i}] = {name}{'.' + part if part != ' ' else ''};\n"
        for i, (name, part) in enumerate(columns)
    )
    barrier = "threadgroup_barrier(mem_flags::mem_none);" if mode == "fibres" else ""
    source = f"""
        uint3 p = thread_position_in_grid;
        device uint* o = out + ((p.z * GY + p.y) * GX + p.x) * {len(columns)};
        {barrier}
        {stores}"""
    shape = (grid[2], grid[1], grid[0], len(columns))
    launch = Launch(
        "k", ("x",), (TensorSpec("out", shape, "uint32"),), source, grid, threadgroup,
        template=(("GX", grid[0]), ("GY", grid[1])),
    )  # fmt: skip
    program = Program((TensorSpec("x", (1,), "float32"),), ("out",), (launch,))
    built = CpuEngine().build(program)
    assert not isinstance(built, BuildFailure), built.log
    call = built.bind({"x": np.zeros(1, np.float32)}, poison=True)
    call()
    got = call.outputs()["out"]
    for (x, y, z), attributes in expected(grid, threadgroup).items():
        row = [
            value if part == " " else value["xyz".index(part)]  # type: ignore[index]
            for name, part in columns
            for value in [attributes[name]]
        ]
        assert got[z, y, x].tolist() == row, (x, y, z)
