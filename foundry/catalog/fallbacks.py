"""The fallbacks of a catalog: the first baseline of each op, as plain functions of mlx alone.

The text stands in the wheel as the op's author wrote it; only the line with `def` is made here.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Any

from ops.baselines import Baseline
from ops.spec import Op

_HEAD = '''"""What runs where no kernel serves: the MLX of each op as its author wrote it."""

from __future__ import annotations
'''


def fallback_of(op: Op) -> tuple[str, Baseline]:
    """Name and text of the baseline that honours the formula to the letter: the first."""
    name = next(iter(op.baselines))
    return name, op.baseline(name)


def record(op: Op) -> dict[str, Any]:
    """What the wheel's run-time must know to call the fallback of an op."""
    name, baseline = fallback_of(op)
    return {"name": name, "text": baseline.text.strip(), "numbers": list(_numbers(op, baseline))}


def module(ops: Iterable[Op]) -> str:
    """Source of the module of fallbacks: one function per op, under the op's name.

    Arrays are positional, in the op's order; the numbers the text uses are keywords.
    """
    functions = [_function(op) for op in ops]
    imports = [
        line
        for word, line in (("math.", "import math"), ("mx.", "import mlx.core as mx"))
        if any(word in function for function in functions)
    ]
    return "\n\n\n".join(["\n".join([_HEAD, *imports]), *functions]) + "\n"


def _numbers(op: Op, baseline: Baseline) -> tuple[str, ...]:
    """Parameters and axis sizes that the text uses, and `dtype` where no input shows it."""
    dtype = () if _typed_input(op) else ("dtype",)
    return baseline.uses((*op.params, *op.axis_names, *dtype))


def _typed_input(op: Op) -> str | None:
    return next((t.name for t in op.inputs if t.dtype == "T"), None)


def _function(op: Op) -> str:
    baseline = fallback_of(op)[1]
    numbers = _numbers(op, baseline)
    if not baseline.compiled:
        return _def(op.name, op, numbers, _body(op, baseline))
    inner = f"_{op.name}"
    given = [f"{n}=mx.array({n})" if n in baseline.traced else f"{n}={n}" for n in numbers]
    call = ", ".join([*(t.name for t in op.inputs), *given])
    return "\n\n\n".join(
        [
            "@mx.compile\n" + _def(inner, op, numbers, _body(op, baseline)),
            _def(op.name, op, numbers, f"return {inner}({call})"),
        ]
    )


def _body(op: Op, baseline: Baseline) -> str:
    shown = _typed_input(op)
    if shown and baseline.uses(("dtype",)):
        return f"dtype = {shown}.dtype\n{baseline.body}"
    return baseline.body


def _def(name: str, op: Op, numbers: tuple[str, ...], body: str) -> str:
    arguments = [*(t.name for t in op.inputs), *(["*", *numbers] if numbers else [])]
    return f"def {name}({', '.join(arguments)}):\n{textwrap.indent(body, '    ')}"
