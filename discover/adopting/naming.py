"""From recorded calls of one kernel to the call that is adopted. Pure."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from discover.adopting.call import AdoptedCall, read_call
from discover.adopting.recording import Number, RecordedArray, RecordedCall, Recording
from discover.adopting.sizes import Axes, axes_of, expression, shapes_of
from foundry.errors import UsageError, unknown


@dataclass(frozen=True)
class Wishes:
    """What the author says beside his script."""

    reference: str
    """MLX text, or the name of a function of the script."""
    name: str | None = None
    """Of the op; None: the kernel's."""
    kernel: str | None = None
    """Which of the script's kernels; None: the only one."""
    axes: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    multiples: Mapping[str, int] | None = None


def named(recording: Recording, wishes: Wishes) -> AdoptedCall:
    """The call that is adopted: sizes as axes, the reference as text.

    Raises:
        UsageError: Which kernel is meant is not said, or something does not fit.
    """
    calls = _of_one_kernel(recording.calls, wishes.kernel)
    axes = axes_of(calls, wishes.axes)
    kernel, first = calls[0].kernel, calls[0]
    if not kernel.is_row_contiguous:
        raise UsageError(
            f"{kernel.name} is made with ensure_row_contiguous=False, and an adopted kernel gets"
            " rows always; make it without, and let its source index rows"
        )
    shapes = [[axes.name_of(n) for n in shape] for shape in shapes_of(calls)]
    dtypes = [a.dtype for a in (*first.inputs, *first.outputs) if isinstance(a, RecordedArray)]
    arrays = iter({"shape": s, "dtype": d} for s, d in zip(shapes, dtypes, strict=True))
    inputs = {
        name: next(arrays) if isinstance(value, RecordedArray) else value
        for name, value in zip(kernel.input_names, first.inputs, strict=True)
    }
    return read_call(
        {
            "name": wishes.name or _identifier(kernel.name),
            "source": kernel.source,
            "header": kernel.header,
            "inputs": inputs,
            "outputs": dict(zip(kernel.output_names, arrays, strict=True)),
            "template": _template(calls, axes),
            "grid": [_grid(calls, axes, way) for way in range(3)],
            "threadgroup": first.threadgroup,
            "sizes": axes.each(),
            "reference": _reference(wishes.reference, recording.names, kernel.input_names),
            "init_value": first.init_value,
            "atomic_outputs": kernel.atomic_outputs,
            "math_mode": kernel.math_mode,
            "fixed": wishes.fixed,
            "multiples": dict(wishes.multiples or {}),
        }
    )


def _of_one_kernel(calls: Sequence[RecordedCall], name: str | None) -> list[RecordedCall]:
    """The calls of the kernel that is meant, in the dtypes and dimensions of the first of them."""
    names = list(dict.fromkeys(call.kernel.name for call in calls))
    if name is None and len(names) > 1:
        raise UsageError(f"the script calls {', '.join(names)}; choose one with --kernel")
    wanted = names[0] if name is None else name
    found = [call for call in calls if call.kernel.name == wanted]
    if not found:
        raise unknown("kernel of the script", wanted, names)
    return [c for c in found if _kinds(c) == _kinds(found[0]) and c.kernel == found[0].kernel]


def _kinds(call: RecordedCall) -> tuple[Any, ...]:
    """What every call that is adopted with it shares; sizes may differ."""
    types = [(name, value) for name, value in call.template if isinstance(value, str)]
    return (*map(_kind, (*call.inputs, *call.outputs)), *types)


def _kind(given: RecordedArray | Number) -> Any:
    return (given.dtype, len(given.shape)) if isinstance(given, RecordedArray) else type(given)


def _grid(calls: Sequence[RecordedCall], axes: Axes, way: int) -> int | str:
    numbers = tuple(call.grid[way] for call in calls)
    return expression(numbers, axes, tuple(call.threadgroup[way] for call in calls))


def _template(calls: Sequence[RecordedCall], axes: Axes) -> dict[str, bool | int | str]:
    """Dtypes and flags as they are; an integer that is the size of an axis is that axis."""
    found: dict[str, bool | int | str] = {}
    for name, value in calls[0].template:
        if isinstance(value, bool | str):
            found[name] = value
            continue
        numbers = tuple(int(dict(call.template)[name]) for call in calls)
        vary = len(set(numbers)) > 1
        found[name] = expression(numbers, axes, (1,)) if vary else axes.name_of(numbers)
    return found


def _identifier(name: str) -> str:
    words = re.sub(r"\W+", "_", name).strip("_").lower()
    return words if words[:1].isalpha() else f"kernel_{words}"


def _reference(said: str, names: Mapping[str, Any], inputs: Sequence[str]) -> str:
    """MLX text as it stands, or the body of a function of the script."""
    function = names.get(said.strip()) if said.strip().isidentifier() else None
    if not inspect.isfunction(function):
        return said
    tree = _definition(said, function)
    given = [argument.arg for argument in tree.args.args]
    if len(given) != len(inputs):
        raise UsageError(f"{said} takes {len(given)} arguments, the kernel {len(inputs)} inputs")
    renamed = [f"{mine} = {its}" for mine, its in zip(given, inputs, strict=True) if mine != its]
    body = tree.body[1:] if ast.get_docstring(tree) else tree.body
    return "\n".join([*renamed, *map(ast.unparse, body)])


def _definition(said: str, function: FunctionType) -> ast.FunctionDef:
    """The `def` of a function; a lambda has none that can be read alone."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    except (OSError, SyntaxError):
        tree = None
    if not isinstance(tree, ast.FunctionDef):
        raise UsageError(
            f"'{said}' is not made by a def that can be read; write one, or give its text instead"
        )
    return tree
