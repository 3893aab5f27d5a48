"""Which vectors of a loop lie apart, so that components may take turns in another order.

A thread reads and writes whole vectors. Done by component, a write must reach no component that
the same thread reads or writes later: the very same place it may, and memory of another buffer.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

_OFFSET = re.compile(r"  (%[\w.]+) = getelementptr .*?, ptr (%[\w.]+), ")
_PARAMETER = re.compile(r"ptr ((?:\w+(?:\((?:[^()]|\([^()]*\))*\))? )*)(%[\w.]+)(?=[,)])")


def are_separate(around: Sequence[str], bases: Collection[str], written: Collection[str]) -> bool:
    """Whether no place of these is reached from another of them that is written at.

    Args:
        around: The function without the loop; the line of its name and parameters is the first.
        bases: Registers with addresses, to all of which each thread adds its index alike.
        written: Those of them that the loop writes at.
    """
    others = {base: set(bases) - {base} for base in written}
    if not any(others.values()):
        return True
    offsets = {found[1]: found[2] for line in around if (found := _OFFSET.match(line))}
    buffers = {name: words.split() for words, name in _PARAMETER.findall(around[0])}
    roots = {base: _root(base, offsets) for base in bases}
    return all(
        "noalias" in buffers.get(roots[base], ())
        and all(roots[other] in buffers and roots[other] != roots[base] for other in others[base])
        for base in written
    )


def _root(base: str, offsets: dict[str, str]) -> str:
    """What an address was made of by adding to it."""
    while base in offsets:
        base = offsets[base]
    return base
