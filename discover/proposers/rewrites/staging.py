"""Stage what all threads of a threadgroup read through threadgroup memory, tile by tile.

The threads load a tile of an input together, wait, and go on from the tile. It takes a loop that
all of them run through alike, and a read whose place hangs on nothing but the loop.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from discover.proposers.rewrites import Variant
from discover.proposers.rewrites.jam import atom
from discover.proposers.rewrites.source import (
    LEAVES,
    Loop,
    assigned,
    depth_at,
    free_name,
    loops,
    names,
    plain,
    rename,
    replace_loop,
    subscripts,
    taken_names,
    with_launch,
)
from discover.proposers.rewrites.varying import varying
from foundry.kernel import Kernel, KernelLaunch
from ops.dtypes import DTYPE_BYTES
from ops.spec import Op
from ops.workload import ELEMENT

TILES = (64, 256)
_SIZE = "threads_per_threadgroup"
_ALL = f"{_SIZE}.x * {_SIZE}.y * {_SIZE}.z"
_OWN = "thread_index_in_threadgroup"
_METAL = {"bfloat16": "bfloat", "float16": "half", "float32": "float"}


def variants(kernel: Kernel, op: Op) -> Iterator[Variant]:
    """Each read that is the same for all threads, by each size of tile."""
    for index, launch in enumerate(kernel.launches):
        if "return" in names(launch.body) or launch.threadgroup == (1, 1, 1):
            continue
        for loop, read in _shared_reads(plain(launch.body), op):
            for tile in TILES:
                body = _staged(kernel, launch, loop, read, tile, op)
                label = f"tiles of {tile} of {read[0]} for {loop.title}"
                yield Variant(label, with_launch(kernel, index, body=body))


def _shared_reads(body: str, op: Op) -> Iterator[tuple[Loop, tuple[str, str]]]:
    """Loops with an array and a subscript that all threads of a threadgroup read alike."""
    known = {tensor.name for tensor in op.inputs if _type(tensor.name, op)}
    stepping = [loop for loop in loops(body) if loop.step in ("1", "1u") and _steady(loop)]
    reads = [(loop, read) for loop in stepping for read in _reads(loop, known)]
    if not reads:
        return
    differs = varying(body)
    for loop, read in reads:
        hangs_on = names(loop.start) | names(loop.limit) | names(read[1])
        if not hangs_on & (differs - {loop.var}) and not depth_at(body, loop.begin):
            yield loop, read


def _steady(loop: Loop) -> bool:
    """Whether its steps go on alike, and neither leave early nor wait."""
    bounds = names(loop.start) | names(loop.limit) | {loop.var}
    return not (names(loop.body) & LEAVES or assigned(loop.body) & bounds)


def _reads(loop: Loop, known: Collection[str]) -> list[tuple[str, str]]:
    """Reads of inputs whose place hangs on the loop, and on nothing that the loop sets."""
    moved = assigned(loop.body)
    return [
        (array, place)
        for array, place in dict.fromkeys(subscripts(loop.body))
        if array in known
        and loop.var in names(place)
        and not names(place) & moved
        and "=" not in place
    ]


def _staged(
    kernel: Kernel, launch: KernelLaunch, loop: Loop, read: tuple[str, str], tile: int, op: Op
) -> str:
    array, place = read
    body, taken = plain(launch.body), taken_names(kernel, launch)
    held, first, at = (free_name(n, taken) for n in (f"{array}_tile", "tile_start", "tile_at"))
    v, limit = loop.var, atom(loop.limit)
    source = rename(place, {v: f"({first} + {at})"})
    inner = re.sub(
        rf"\b{re.escape(array)}\s*\[\s*{re.escape(place)}\s*\]", f"{held}[{v} - {first}]", loop.body
    )
    text = (
        f"for ({loop.type} {first} = {loop.start}; {first} < {limit}; {first} += {tile}) {{\n"
        f"threadgroup_barrier(mem_flags::mem_threadgroup);\n"
        f"for (uint {at} = {_OWN}; {at} < {tile}u && {first} + {at} < {limit}; {at} += {_ALL}) {{\n"
        f"{held}[{at}] = {array}[{source}];\n}}\n"
        f"threadgroup_barrier(mem_flags::mem_threadgroup);\n"
        f"for ({loop.type} {v} = {first}; {v} < {limit} && {v} < {first} + {tile}; ++{v}) {{\n"
        f"{inner.strip()}\n}}\n}}"
    )
    return f"threadgroup {_type(array, op)} {held}[{tile}];\n{replace_loop(body, loop, text)}"


def _type(array: str, op: Op) -> str:
    """The Metal type of an input's elements; empty where that is not known."""
    dtype = next(tensor.dtype for tensor in op.inputs if tensor.name == array)
    if dtype == ELEMENT:
        return dtype
    is_plain = dtype in DTYPE_BYTES and dtype.startswith("float")
    return _METAL.get(dtype, "") if is_plain or dtype == "bfloat16" else ""
