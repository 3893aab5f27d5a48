"""Which threadgroups stand for all. Pure."""

from __future__ import annotations

from itertools import pairwise


def sample(threadgroups: int, most: int) -> list[int]:
    """At most `most` of `threadgroups` numbers, spread over all of them, in the order to run them.

    All of them run in order. A sample has one from each of `most` equal stretches, not always at
    the same distance, so that it does not follow the rows of the grid; the first and the last are
    among them. Its order jumps about, so that the start of it is a sample too.
    """
    if threadgroups <= most:
        return list(range(threadgroups))
    ends = [i * threadgroups // most for i in range(most + 1)]
    chosen = [
        begin + int(_corput(i + 1, 3) * (end - begin))
        for i, (begin, end) in enumerate(pairwise(ends))
    ]
    chosen[0], chosen[-1] = 0, threadgroups - 1
    return [chosen[i] for i in sorted(range(most), key=lambda i: _corput(i, 2))]


def _corput(number: int, base: int) -> float:
    """The digits of a number mirrored behind the point: an even spread over 0..1."""
    value, scale = 0.0, 1.0
    while number:
        number, digit = divmod(number, base)
        scale /= base
        value += digit * scale
    return value
