"""Few of the kernels that are compiled anew for every size, among all that can be made. Pure.

A constant that is made of an axis is known when a kernel is compiled: proven on every size, such a
kernel takes four to six times as long as another, and teaches the same but for one line. Where an
op can do without, one in `ONE_IN` is enough; the others come when nothing else is left. An op that
cannot, as attention with the size of its heads, gives one for `OPS_ONE_IN` of another op: what the
oracle knows of it is dearest too, and nearly all of its ops are of one kind.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from discover.corpus.kernels import Made
from foundry.kernel import Kernel
from ops.spec import Op
from ops.texts.expressions import names_in

ONE_IN = 16
OPS_ONE_IN = 48
MOST_HELD = 64
"""Held back of one op at a time: all of its kernels may be of that kind."""


def shares(ops: Sequence[Op], kernels: int) -> dict[str, int]:
    """How many of so many kernels each op gives, by name; rounded up, so together they are enough.

    Args:
        ops: At least one.
        kernels: Of all of them.
    """
    weights = {op.name: 1 if _is_dear(op) else OPS_ONE_IN for op in ops}
    total = sum(weights.values())
    return {name: -(-kernels * weight // total) for name, weight in weights.items()}


def measured(op: Op, share: int, asked: int, one_in: int) -> int:
    """How many kernels of an op are measured in some way.

    Where an op gives few, the oracle of its timed sizes would cost most of all: there it is one in
    so many of them at most.

    Args:
        op: The op.
        share: Kernels that it gives.
        asked: Kernels that a recipe wants measured.
        one_in: Of an op that gives few.
    """
    return min(asked, share // one_in) if _is_dear(op) else asked


def thrifty(made: Iterator[Made], op: Op) -> Iterator[Made]:
    """The same kernels, those that are compiled for every size held back.

    What was rewritten from a kernel still comes after it.

    Args:
        made: Kernels of one op, in order.
        op: The op.
    """
    held: deque[Made] = deque()
    waiting: set[str] = set()
    passed = 0
    for one in made:
        if one.parent in waiting or is_built_for_sizes(one.kernel, op):
            held.append(one)
            waiting.add(one.kernel.hash)
        else:
            yield one
            passed += 1
        if len(held) > MOST_HELD or (held and passed >= ONE_IN - 1):
            passed = 0
            first = held.popleft()
            waiting.discard(first.kernel.hash)
            yield first
    yield from held


def _is_dear(op: Op) -> bool:
    return any(axis.compiled for axis in op.axes)


def is_built_for_sizes(kernel: Kernel, op: Op) -> bool:
    """Whether another size is another build, though the op's kernels need not be so."""
    free = {axis.name for axis in op.axes if not axis.compiled}
    constants = (value for launch in kernel.launches for _, value in launch.constants)
    return any(free & names_in(value) for value in constants)
