"""Ops whose outputs are found element by element from anywhere in the inputs: a place at a time.

Copies, packings, caches, stencils and unpacked codes: what differs is where an element looks, a few
lines of Metal over its place `i` and the sizes of axes by name. All of them share one template.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ops.axis import Axis
from ops.baselines import Baseline
from ops.declaring.cases import CaseSets, Values, defaults
from ops.declaring.members import Formula, values
from ops.dtypes import FLOAT_DTYPES
from ops.families.forms.pointwise import NO_RANGES, NONE
from ops.parameters import Range
from ops.spec import Op, Steps
from ops.workload import Tensor, Workload

_WORD = re.compile(r"[A-Za-z_]\w*")


def indexed(
    name: str,
    family: str,
    op_axes: tuple[Axis, ...],
    inputs: tuple[Tensor, ...],
    outputs: tuple[Tensor, ...],
    *,
    np: Formula,
    mlx: str | Mapping[str, Baseline | str],
    metal: str,
    flops: str,
    cases: CaseSets,
    formula: str,
    count: str = "",
    counted: str = "",
    helpers: str = "",
    params: Mapping[str, Values] = NONE,
    ranges: Mapping[str, Range] = NO_RANGES,
    steps: Formula | None = None,
    bytes: str | None = None,
    plain_flops: str | None = None,
    constraints: tuple[str, ...] = (),
    dtypes: tuple[str, ...] = FLOAT_DTYPES,
    gradient_of: str = "",
) -> Op:
    """An op that a thread an element computes.

    `np` is the float64 formula of inputs, and by name of those axes and parameters it asks for.
    `metal` is statements that write the outputs at `i`, over inputs, axes and parameters; there are
    as many places as `count` says, or as the first output has elements. All else is as in
    `elementwise` and `Op`.
    """
    names = [tensor.name for tensor in inputs]
    places = count or " * ".join(f"({size})" for size in outputs[0].shape)
    counted = counted or places.replace("//", "/")
    used = [a.name for a in op_axes if a.name in _WORD.findall(f"{metal} {counted}")]
    return Op(
        name=name,
        family=family,
        formula=formula,
        axes=op_axes,
        inputs=inputs,
        outputs=outputs,
        params=defaults(params),
        ranges=ranges,
        constraints=constraints,
        oracle=_oracle(np, names),
        steps=_steps(steps, names) if steps else None,
        baselines={"plain": mlx} if isinstance(mlx, str) else mlx,
        flops=flops,
        bytes=bytes,
        plain_flops=plain_flops,
        visible=cases[0],
        hidden=cases[1],
        bench=cases[2],
        dtypes=dtypes,
        gradient_of=gradient_of,
        metal={
            "form": "indexed",
            "body": metal,
            "helpers": helpers,
            "count": places,
            "counted": counted,
            "sizes": {axis: _size(axis, inputs) for axis in used},
        },
    )


def _size(axis: str, inputs: Iterable[Tensor]) -> str:
    """Where a kernel finds the size of an axis; empty: nowhere, it takes a constant."""
    given = [tensor for tensor in inputs if not tensor.optional]
    for tensor in given:
        for at, size in enumerate(tensor.shape):
            if size == axis:
                return f"{tensor.name}_shape[{at}]"
    for tensor in given:
        for at, size in enumerate(tensor.shape):
            if found := re.fullmatch(rf"(\d+) \* {axis}", str(size)):
                return f"{tensor.name}_shape[{at}] / {found[1]}"
    return ""


def _oracle(formula: Formula, names: list[str]) -> Callable[..., Any]:
    def found(inputs: Mapping[str, Any], workload: Workload) -> tuple[Any, ...]:
        known = {**workload.axes, **values(workload)}
        given = [name for name in names if name in inputs]
        wanted = {n: v for n, v in _asked(formula, known).items() if n not in given}
        result = formula(*(inputs[name] for name in given), **wanted)
        return result if isinstance(result, tuple) else (result,)

    return found


def _steps(formula: Formula, names: list[str]) -> Steps:
    called = _oracle(formula, names)
    return lambda inputs, workload, stored: called(inputs, workload)


def _asked(formula: Formula, known: Mapping[str, Any]) -> dict[str, Any]:
    return {n: known[n] for n in inspect.signature(formula).parameters if n in known}
