"""What a proposal is asked to look at: proposals at once do not all try the same. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

ALGORITHM = "the algorithm: fewer passes over the data, another order of the work"
MEMORY = "memory access: what each thread reads, in which order, how wide, how often"
LAUNCH = "the launch: how work is shared out over threads, SIMD-groups and threadgroups"
LOOP = "the inner loop: independent operations, unrolling, what the compiler can vectorise"
SYNCHRONISATION = "synchronisation: fewer barriers and SIMD-group operations, or none"
ARITHMETIC = "arithmetic: cheaper but equally exact operations, fewer of them"

FOCI = (ALGORITHM, MEMORY, LAUNCH, LOOP, SYNCHRONISATION, ARITHMETIC)
"""All of them, in the order in which proposals take them when nothing was counted."""


def focus(turn: int, costly: Sequence[str] = (), idle: Collection[str] = ()) -> str:
    """What one proposal is asked to look at.

    Every other proposal takes what costs most; those between take the rest in turn, since counters
    do not see everything.

    Args:
        turn: How many proposals came before.
        costly: What was counted as costly, the worst first.
        idle: What the counters rule out.
    """
    first = tuple(dict.fromkeys(costly))
    rest = tuple(one for one in FOCI if one not in first and one not in idle)
    if not first:
        return rest[turn % len(rest)]
    chosen = rest if turn % 2 and rest else first
    return chosen[turn // 2 % len(chosen)]
