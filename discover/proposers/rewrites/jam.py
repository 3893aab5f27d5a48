"""Do several steps of a loop at a time, and the rest one by one."""

from __future__ import annotations

import re
from collections.abc import Iterator

from discover.proposers.rewrites import Variant
from discover.proposers.rewrites.source import (
    LEAVES,
    Loop,
    assigned,
    edit_bodies,
    loops,
    names,
    rename,
    replace_loop,
)
from foundry.kernel import Kernel
from ops.spec import Op

FACTORS = (2, 4)


def variants(kernel: Kernel, op: Op) -> Iterator[Variant]:
    """Each loop whose steps are alike, by each factor."""
    for label, changed in edit_bodies(kernel, _edit):
        yield Variant(label, changed)


def _edit(body: str) -> Iterator[tuple[str, str]]:
    for loop in loops(body):
        if not _alike(loop):
            continue
        for factor in FACTORS:
            text = jammed(loop, [_step(loop, i) for i in range(factor)], loop.body)
            label = f"{factor} steps of {loop.title} at a time"
            yield label, replace_loop(body, loop, text)


def jammed(loop: Loop, steps: list[str], rest: str) -> str:
    """Text of a loop that does all `steps` at a time and `rest` for what is left over."""
    v, n, count = loop.var, atom(loop.limit), len(steps)
    together = "\n".join(f"{{\n{step.strip()}\n}}" for step in steps)
    return (
        f"{{\n{loop.type} {v} = {loop.start};\n"
        f"for (; {v} + {times(count - 1, loop.step)} < {n}; {v} += {times(count, loop.step)}) {{\n"
        f"{together}\n}}\n"
        f"for (; {v} < {n}; {v} += {loop.step}) {{\n{rest.strip()}\n}}\n}}"
    )


def ahead(loop: Loop, steps: int) -> str:
    """The loop's variable some steps ahead."""
    return f"({loop.var} + {times(steps, loop.step)})"


def times(count: int, step: str) -> str:
    """`count * step`, worked out where the step is a number."""
    if number := re.fullmatch(r"(\d+)([uU]?)", step):
        return f"{count * int(number[1])}{number[2]}"
    return atom(step) if count == 1 else f"{count} * {atom(step)}"


def atom(expression: str) -> str:
    """The expression, in brackets unless it is a name or a number."""
    return expression if re.fullmatch(r"\w+", expression) else f"({expression})"


def _step(loop: Loop, index: int) -> str:
    return rename(loop.body, {loop.var: ahead(loop, index)}) if index else loop.body


def _alike(loop: Loop) -> bool:
    """Whether nothing leaves the loop early and nothing but its header moves it."""
    moved = assigned(loop.body)
    bounds = names(loop.limit) | names(loop.step) | {loop.var}
    return not (names(loop.body) & LEAVES or moved & bounds)
