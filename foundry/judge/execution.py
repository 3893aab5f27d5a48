"""Proof that the outputs come from this kernel, on these inputs, every time.

1. Ghost replay: the same launches with an empty body must leave every output as it was filled,
   once with ones and once with zeros, which every dtype has.
2. The normal inputs, then the same with one element changed, through the same buffers; then the
   first again in other buffers. Whoever remembers by pointer or by fingerprint fails one of them.
3. Five calls on the same inputs give the same bytes, unless the kernel declares atomic outputs.
4. Threadgroups begun from the last to the first, and shuffled, give the same bytes; what is right
   within a bound where outputs are atomic.
5. The results of other inputs, left in the outputs, do not show in these.
6. Inputs, and the guard zones around them, are afterwards as they were.
"""

from __future__ import annotations

from dataclasses import replace

from foundry.harness.jobs import Results
from foundry.program import Arrays, Launch, Program

SEQUENCE = ("normal", "touched")
REPEATS = 5
ORDERS = 3
"""Orders of threadgroups beside the natural one."""
ORDERED = (
    "threadgroups begun in another order give different results, and no GPU promises an order: "
    "each must write what is its own, or add by atomics"
)
FILLS = (1.0, 0.0)
"""What ghosts find in their outputs."""


def ghost(program: Program) -> Program:
    """The program with nothing to do: it compiles once per op and dtype, whatever the kernel."""
    launches = tuple(_empty(launch) for launch in program.launches)
    return replace(program, launches=launches)


def filled_ghosts(program: Program) -> tuple[Program, ...]:
    """Ghosts whose outputs start as each of `FILLS`."""
    quiet = ghost(program)
    return tuple(
        replace(quiet, launches=tuple(replace(x, init_value=fill) for x in quiet.launches))
        for fill in FILLS
    )


def is_deterministic(program: Program) -> bool:
    """Whether the order of its threads must not show in the result."""
    return not any(launch.atomic_outputs for launch in program.launches)


def haunted(outputs: Arrays, fill: float) -> str | None:
    """Name of an output that a ghost did not leave as it was filled."""
    for name, array in outputs.items():
        if not (array == array.dtype.type(fill)).all():
            return name
    return None


def tampering(results: Results) -> str | None:
    """What a kernel did that its outputs do not show, as one sentence."""
    for name in results.changed:
        if name is not None:
            return (
                f"it wrote to its input '{name}' or just outside of it: inputs are read-only, "
                "and every index must lie inside its buffer"
            )
    return None


def is_ordered(results: Results, orders: int) -> bool:
    """Whether any of the last `orders` sets of outputs differs from the first in a byte."""
    first = results.outputs[0]
    others = results.outputs[len(results.outputs) - orders :]
    return any(first[n].tobytes() != other[n].tobytes() for other in others for n in first)


def flicker(results: Results) -> str | None:
    """Whether repeated calls gave different bytes, as one sentence."""
    most = max(results.distinct, default=1)
    if most <= 1:
        return None
    return (
        f"{REPEATS} runs on the same inputs gave {most} different results: threads race, or "
        "memory is read before it is written"
    )


def _empty(launch: Launch) -> Launch:
    return replace(
        launch,
        source=";",
        header="",
        grid=(1, 1, 1),
        threadgroup=(1, 1, 1),
        template=tuple((n, v) for n, v in launch.template if n == "T"),
        init_value=None,
        atomic_outputs=False,
        math_mode="safe",
    )
