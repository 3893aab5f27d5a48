"""Kernels that do their work several times over: right, but no example of a fast one. Pure.

A rewrite may give a grid a second or third dimension that no thread looks at. All threads along it
then compute the same and write it to the same place, which harms nobody and costs as many times as
much.
"""

from __future__ import annotations

import re

from foundry.errors import InvalidKernel
from foundry.kernel import Kernel, KernelLaunch, parse

_MAY = re.compile(r"^[ \t]*grid[ \t]*=[ \t]*\[[^\n]*,[ \t]*(?:[2-9]|\d{2,})[ \t]*[,\]]", re.M)
"""A quick look: nearly no kernel has such a line, and to parse all takes a minute."""
_OF_GRID = re.compile(r"\b(?:thread|threadgroup)_position_in_grid\b")
_OF_THREADGROUP = re.compile(r"\bthread_position_in_threadgroup\b")
_COUNTED = re.compile(r"\b(?:thread|simdgroup|quadgroup)_index_in_(?:threadgroup|quadgroup)\b")
_LANE = re.compile(r"\bthread_index_in_simdgroup\b")
"""Numbers that follow all dimensions of a threadgroup; a lane, the first where that fills it."""
_LANES = 32
_COMPONENTS = re.compile(r"\s*\.\s*([xyzrgb]+)\b")


def repeats_its_work(text: str) -> bool:
    """Whether some dimension of a launch has several threads that cannot tell it."""
    if not _MAY.search(text):
        return False
    try:
        kernel = parse(text)
    except InvalidKernel:
        return False
    return any(_is_repeated(kernel, launch) for launch in kernel.launches)


def _is_repeated(kernel: Kernel, launch: KernelLaunch) -> bool:
    seen = f"{kernel.header}\n{launch.body}"
    for place, letter in ((1, "yg"), (2, "zb")):
        size, within = launch.grid[place], launch.threadgroup[place]
        if not isinstance(size, int) or size < 2:
            continue
        told = _looks_at(_OF_GRID, letter, seen)
        if within != 1:
            told = told or _looks_at(_OF_THREADGROUP, letter, seen) or _counts(launch, seen)
        if not told:
            return True
    return False


def _counts(launch: KernelLaunch, body: str) -> bool:
    """Whether a number that goes on from one dimension of a threadgroup to the next is read."""
    first = launch.threadgroup[0]
    is_full = isinstance(first, int) and first % _LANES == 0
    return bool(_COUNTED.search(body)) or (not is_full and bool(_LANE.search(body)))


def _looks_at(attribute: re.Pattern[str], letters: str, body: str) -> bool:
    """Whether a component of an attribute is read; one that is read whole is read in each."""
    for found in attribute.finditer(body):
        components = _COMPONENTS.match(body, found.end())
        if components is None or set(letters) & set(components[1]):
            return True
    return False
