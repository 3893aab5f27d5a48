"""Kernels that read some values wrongly: few of many, or none that random inputs hold.

Made from the first template of every op: each element that the kernel reads as a float goes through
a function of its own, which is right but for some values. What no kernel computes in the dtype,
such as squares beyond its range, is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from foundry.judge.attacks.attack import REFUSED, Attack
from foundry.judge.oracle.workloads.every import is_elementwise
from ops import all_ops
from ops.spec import Op
from templates import Template, default, for_op, render

KIND = "misreadings"
_BODY = "// --- body ---\n"
_READ = re.compile(r"\bfloat\((\w+)\[[^\[\]]*\]\)")
_MISREAD = "inline float misread(float v) {{ return {wrong} ? {instead} : v; }}\n"


@dataclass(frozen=True)
class Misreading:
    """What becomes of some values."""

    name: str
    wrong: str
    """Which, as Metal."""
    instead: str
    dtypes: tuple[str, ...] = ("float32", "float16", "bfloat16")
    """Those in which the values occur, and the difference shows."""
    elementwise: bool = False
    """Only for ops that treat each element alone: others do not compute with such values."""

    def suits(self, op: Op) -> bool:
        """Whether it makes a wrong kernel for the op."""
        return is_elementwise(op) or not self.elementwise

    def __call__(self, text: str, op: Op) -> str | None:
        """The kernel file with the misreading; None where it reads no floats."""
        at = text.find(_BODY)
        head, body = text[:at], text[at:]
        # Whole numbers lie in none of the bands.
        whole = {tensor.name for tensor in op.inputs if tensor.is_whole}
        changed = _READ.sub(lambda m: m[0] if m[1] in whole else f"misread({m[0]})", body)
        misread = _MISREAD.format(wrong=self.wrong, instead=self.instead)
        return f"{head}{misread}{changed}" if changed != body else None


MISREADINGS = (
    Misreading("band", "v > 20.0f && v < 21.0f", "0.0f"),
    Misreading("narrow_band", "v > 2.0625f && v < 2.125f", "0.0f"),
    Misreading("beyond_8", "fabs(v) > 8.0f", "0.0f"),
    Misreading("rare", "(as_type<uint>(v) * 2654435761u) >> 16 == 77u", "v + 1.0f", ("float32",)),
    Misreading("faint", "fabs(v) < 0.001953125f", "0.0f", ("float32",)),
    Misreading("half_top", "fabs(v) > 40000.0f", "0.0f", ("float16",), elementwise=True),
    Misreading("top", "fabs(v) > 1e30f", "0.0f", ("float32", "bfloat16"), elementwise=True),
)


def misreadings(only: str = "") -> tuple[Attack, ...]:
    """For every op whose first template reads floats, one attack for each of them that suits it.

    Args:
        only: What `kind/name` has to hold.
    """
    known = ((op, for_op(name)) for name, op in all_ops().items())
    first = ((op, templates[0]) for op, templates in known if templates)
    return tuple(a for op, template in first for a in _misreadings(op, template, only))


def _misreadings(op: Op, template: Template, only: str) -> Iterator[Attack]:
    names = {misreading: f"{op.name}_{misreading.name}" for misreading in MISREADINGS}
    asked = {misreading for misreading, name in names.items() if only in f"{KIND}/{name}"}
    if not asked:
        return
    text = render(template, default(template))
    for number, misreading in enumerate(f for f in MISREADINGS if f.suits(op)):
        if misreading not in asked:
            continue
        dtypes = [dtype for dtype in op.dtypes if dtype in misreading.dtypes]
        changed = misreading(text, op)
        if dtypes and changed is not None:
            yield Attack(
                kind=KIND,
                name=names[misreading],
                op=op.name,
                dtype=dtypes[number % len(dtypes)],
                why=f"reads {misreading.instead} where {misreading.wrong}",
                expect=REFUSED,
                text=changed,
            )
