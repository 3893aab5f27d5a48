"""Sum (or take the maximum) in several independent accumulators: shorter chains of waiting."""

from __future__ import annotations

import re
from collections.abc import Iterator

from discover.proposers.rewrites import Variant
from discover.proposers.rewrites.jam import ahead, jammed
from discover.proposers.rewrites.source import (
    Loop,
    edit_bodies,
    free_name,
    loops,
    names,
    rename,
    replace_loop,
    statements,
)
from foundry.kernel import Kernel
from ops.spec import Op

FACTORS = (2, 4)
_SUM = re.compile(r"(?P<acc>\w+)\s*\+=\s*(?P<value>.+)", re.S)
_EXTREME = re.compile(r"(?P<acc>\w+)\s*=\s*(?P<f>max|min)\s*\(\s*(?P=acc)\s*,(?P<value>.+)\)", re.S)


def variants(kernel: Kernel, op: Op) -> Iterator[Variant]:
    """Each loop that does nothing but accumulate, by each number of accumulators."""
    for label, changed in edit_bodies(kernel, _edit):
        yield Variant(label, changed)


def _edit(body: str) -> Iterator[tuple[str, str]]:
    taken = names(body)
    for loop in loops(body):
        found = _accumulation(loop)
        if found is None:
            continue
        accumulator, function = found
        for factor in FACTORS:
            text = _split(loop, accumulator, function, factor, taken)
            yield f"{factor} accumulators for {accumulator}", replace_loop(body, loop, text)


def _accumulation(loop: Loop) -> tuple[str, str | None] | None:
    """The accumulator, and `max` or `min` (None: a sum), of a loop that only accumulates."""
    lines = statements(loop.body)
    if not lines or not all(line.startswith("const ") for line in lines[:-1]):
        return None
    match = _SUM.fullmatch(lines[-1]) or _EXTREME.fullmatch(lines[-1])
    if match is None:
        return None
    used = names(match["value"]) | {name for line in lines[:-1] for name in names(line)}
    if match["acc"] in used | {loop.var} | names(loop.limit) | names(loop.step):
        return None
    return match["acc"], match.groupdict().get("f")


def _split(loop: Loop, acc: str, function: str | None, factor: int, taken: set[str]) -> str:
    extra = [free_name(f"{acc}_{i}", taken) for i in range(1, factor)]
    # A maximum may start from what is there already; a sum must start from nothing.
    start = acc if function else f"decltype({acc})(0)"
    steps = [loop.body] + [
        rename(loop.body, {acc: name, loop.var: ahead(loop, i)}) for i, name in enumerate(extra, 1)
    ]
    declared = "".join(f"decltype({acc}) {name} = {start};\n" for name in extra)
    merged = "".join(
        f"{acc} = {function}({acc}, {name});\n" if function else f"{acc} += {name};\n"
        for name in extra
    )
    return f"{{\n{declared}{jammed(loop, steps, loop.body)}\n{merged}}}"
