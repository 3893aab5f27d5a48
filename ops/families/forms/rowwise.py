"""Row-wise ops: passes over a row reduce it to a few numbers, of which every element is made.

Norms and their gradients, losses over a row of logits, quantisers with one scale a row: all are
`rowwise` with other texts, and share one set of templates.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ops.axis import Axis, axes
from ops.baselines import Baseline
from ops.declaring.cases import CaseSets, Values, defaults
from ops.declaring.members import Formula, oracle
from ops.families.forms.pointwise import NO_RANGES, NONE
from ops.parameters import Range
from ops.spec import Op, Steps, Stored
from ops.workload import Tensor, Workload

MOMENTS = {
    "total": "sum of x",
    "about": "total / float(cols)",
    # What rounding left in the mean matters where the mean is far larger than the deviation.
    "drift": "sum of x - about",
    "squares": "sum of (x - about) * (x - about)",
    "shift": "drift / float(cols)",
    "scale": "rsqrt(max(squares / float(cols) - shift * shift, 0.0f) + eps)",
}
"""Passes over `x` that find its mean, `about + shift`, and `scale`, one over its deviation."""
KINDS = ("sum", "max", "min", "product")
_PASS = re.compile(rf"({'|'.join(KINDS)}) of (.+)", re.DOTALL)
_WORD = re.compile(r"[A-Za-z_]\w*")
_METAL = {
    "T": "T",
    "float32": "float",
    "uint32": "uint",
    "int32": "int",
    "int8": "char",
    "uint8": "uchar",
    "bool_": "bool",
}


@dataclass(frozen=True)
class Layout:
    """How the tensors of an op lie in rows and columns."""

    row_axes: tuple[str, ...] = ("rows",)
    """Axes whose product is the number of rows."""
    cols: str = "cols"
    """Number of columns, over axes."""
    cols_metal: str = "x_shape[1]"
    """The same in Metal, over shapes of inputs."""
    at: Mapping[str, str] = field(default_factory=dict)
    """Where an element of a tensor lies for `row` and `c`, unless its shape says so: Metal over
    the shapes of the inputs."""

    @property
    def rows(self) -> str:
        """Number of rows, over axes."""
        return " * ".join(self.row_axes)

    def place(self, tensor: Tensor) -> tuple[str, str]:
        """What a tensor has one element of (`each`, `row`, `column`), and where it lies."""
        if tensor.shape == self.row_axes:
            return "row", "row"
        if tensor.shape == (self.cols,):
            return "column", "c"
        return "each", self.at.get(tensor.name, "start + c")


PLAIN = Layout()


def rowwise(
    name: str,
    family: str,
    inputs: tuple[Tensor, ...],
    outputs: tuple[Tensor, ...],
    *,
    np: Formula,
    mlx: str | Mapping[str, Baseline | str],
    passes: Mapping[str, str],
    metal: Mapping[str, str],
    flops: int,
    cases: CaseSets,
    formula: str,
    op_axes: tuple[Axis, ...] = axes("rows cols"),
    layout: Layout = PLAIN,
    helpers: str = "",
    params: Mapping[str, Values] = NONE,
    ranges: Mapping[str, Range] = NO_RANGES,
    steps: Callable[..., Any] | None = None,
    dtypes: tuple[str, ...] = ("float32", "float16", "bfloat16"),
    gradient_of: str = "",
    bytes: str | None = None,
) -> Op:
    """An op of rows: `passes` reduce a row, `metal` makes outputs of what they found.

    Tensors have one element each, a row or a column; `layout` says what else. `np` is the float64
    formula of inputs and parameters, `steps` the same with `stored` first. `passes` are
    found in order: `sum of x * x` over inputs, `c`, `cols` and what was found before, or an
    expression of a whole row, such as `total / cols`. `metal` has an expression of each output; one
    of a column is a `sum of ...` over the rows. All else is as in `elementwise` and `Op`.
    """
    if isinstance(mlx, str):
        mlx = {"plain": mlx, "compiled": Baseline(mlx, compiled=True)}
    names = [tensor.name for tensor in inputs]
    return Op(
        name=name,
        family=family,
        formula=formula,
        axes=op_axes,
        inputs=inputs,
        outputs=outputs,
        params=defaults(params),
        ranges=ranges,
        oracle=oracle(np, names),
        steps=_stepwise(steps, names) if steps else None,
        baselines=mlx,
        flops=f"{layout.rows} * {layout.cols} * {flops}",
        bytes=bytes,
        visible=cases[0],
        hidden=cases[1],
        bench=cases[2],
        dtypes=dtypes,
        gradient_of=gradient_of,
        metal={
            "form": "rowwise",
            "rows": layout.rows,
            "columns": layout.cols,
            "cols": layout.cols_metal,
            "helpers": helpers,
            **_parts(inputs, outputs, passes, metal, layout),
        },
    )


def _stepwise(formula: Callable[..., Any], names: Sequence[str]) -> Steps:
    def steps(inputs: Mapping[str, Any], workload: Workload, stored: Stored) -> tuple[Any, ...]:
        called = oracle(lambda *arrays, **values: formula(stored, *arrays, **values), names)
        return called(inputs, workload)

    return steps


def _parts(
    inputs: Iterable[Tensor],
    outputs: Iterable[Tensor],
    passes: Mapping[str, str],
    metal: Mapping[str, str],
    layout: Layout,
) -> dict[str, Any]:
    placed = {t.name: _placed(t, layout) for t in inputs}
    known: list[str] = []
    rounds: list[list[dict[str, Any]]] = []
    for name, text in passes.items():
        found = _pass(name, text, placed, known)
        last = rounds[-1] if rounds else []
        # Passes that do not wait for one another share a way over the row.
        alone = "row" in (found["kind"], *(one["kind"] for one in last))
        if last and not alone and not {one["name"] for one in last} & set(found["known"]):
            last.append(found)
        else:
            rounds.append([found])
        known.append(name)
    made = [_output(t, metal[t.name], placed, known, layout) for t in outputs]
    return {"inputs": placed, "rounds": rounds, "outputs": made, "found": known}


def _placed(tensor: Tensor, layout: Layout) -> dict[str, str]:
    per, at = layout.place(tensor)
    kind = _METAL[tensor.dtype]
    return {"per": per, "at": at, "type": "float" if kind == "T" else kind}


def _pass(name: str, text: str, inputs: Mapping[str, Any], known: Sequence[str]) -> dict[str, Any]:
    found = _PASS.fullmatch(text.strip())
    kind, value = (found[1], found[2]) if found else ("row", text)
    return {"name": name, "kind": kind, **_expression(value, inputs, known)}


def _output(
    tensor: Tensor,
    text: str,
    inputs: Mapping[str, Any],
    known: Sequence[str],
    layout: Layout,
) -> dict[str, Any]:
    per, at = layout.place(tensor)
    found = _PASS.fullmatch(text.strip())
    if (per == "column") is not (found is not None):
        raise ValueError(f"output '{tensor.name}' is '{text}'; one of a column is a 'sum of ...'")
    value = found[2] if found else text
    kind = {"name": tensor.name, "per": per, "at": at, "type": _METAL[tensor.dtype]}
    return {**kind, **_expression(value, inputs, known)}


def _expression(value: str, inputs: Mapping[str, Any], known: Sequence[str]) -> dict[str, Any]:
    words = set(_WORD.findall(value))
    return {
        "value": value,
        "inputs": [name for name in inputs if name in words],
        "known": [name for name in known if name in words],
    }
