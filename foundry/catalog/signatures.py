"""The functions of a package: MLX's own signatures where MLX has the function, else the op's.

What MLX has is written by hand in `runtime/surface`, for the op as it stands in the registry; an
op of the same name that differs gets a function made of its own inputs, axes and parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ops.registry import all_ops
from ops.spec import Op
from ops.texts.expressions import evaluate, names_in
from ops.workload import ELEMENT

SURFACE: Mapping[str, str] = {
    "rms_norm": "norms",
    "layer_norm": "norms",
    "softmax": "rows",
    "topk": "rows",
    "cumsum": "rows",
    "cummax": "rows",
    "row_sum": "rows",
    "row_max": "rows",
    "row_mean": "rows",
    "row_logsumexp": "rows",
    "row_l2": "rows",
    "rope": "positional",
    "attention": "attention",
    "matmul": "products",
}
"""File of `runtime/surface` by op."""
_DTYPE = {ELEMENT: "dtype"}
"""What a type variable is called in a signature, if not as it is."""


def free_axes(op: Op) -> tuple[str, ...]:
    """Axes no input shows, such as `k` of topk: the caller names them."""
    shown: set[int | str | None] = {d for t in op.inputs for d in t.shape}
    shown |= {_shown_by(d) for t in op.inputs if not t.optional for d in t.shape}
    return tuple(axis for axis in op.axis_names if axis not in shown)


def _shown_by(dimension: int | str) -> str | None:
    """The axis that can be told from a size such as `2 * cols`; None: there is none."""
    names = names_in(dimension)
    if len(names) != 1:
        return None
    (axis,) = names
    one, two, three = (evaluate(dimension, {axis: size}) for size in (1, 2, 3))
    return axis if three - two == two - one > 0 else None


def unseen_types(op: Op) -> tuple[str, ...]:
    """Type variables of outputs that no input shows, `T` of a table: the caller names them."""
    seen = {tensor.dtype for tensor in op.inputs if not tensor.optional}
    made = dict.fromkeys(tensor.dtype for tensor in op.outputs)
    return tuple(name for name in made if name in (ELEMENT, *op.types) and name not in seen)


def has_surface(op: Op) -> bool:
    """Whether its function has the signature of MLX's own."""
    known = all_ops().get(op.name)
    if op.name not in SURFACE or known is None:
        return False
    return (op.inputs, op.axis_names, dict(op.params)) == (
        known.inputs, known.axis_names, dict(known.params),
    )  # fmt: skip


def init(name: str, version: str, ops: Iterable[Op]) -> str:
    """Source of the package's `__init__`."""
    made = list(ops)
    names = ", ".join(f'"{op.name}"' for op in made)
    imports = [
        f"from .surface.{SURFACE[op.name]} import {op.name}" for op in made if has_surface(op)
    ]
    functions = [line for op in made if not has_surface(op) for line in _function(op)]
    return "\n".join(
        [
            f'"""{name}: proven Metal kernels for MLX, with plain MLX where none fits."""',
            "",
            "from __future__ import annotations",
            "",
            "from typing import Any",
            "",
            "import mlx.core as mx",
            "",
            "from . import dispatch, transforms",
            "from .info import rows",
            "from .patching import patch, patch_loads, patched, unpatch",
            "from .surface.calls import run as _run",
            *imports,
            "",
            f'__version__ = "{version}"',
            f'__all__ = [{names}, "info", "patch", "patch_loads", "patched", "unpatch"]',
            "",
            "transforms.install()",
            "FUNCTIONS = dispatch.functions()",
            *functions,
            "",
            "",
            "def info() -> list[dict[str, Any]]:",
            '    """Which path each op takes in each dtype on this machine, and why."""',
            "    return rows(FUNCTIONS)",
            "",
        ]
    )


def _function(op: Op) -> list[str]:
    arrays = [t.name for t in op.inputs]
    needed = [f"{t.name}: mx.array" for t in op.inputs if not t.optional]
    optional = [f"{name}: mx.array | None = None" for name in op.optional]
    free = [f"{axis}: int" for axis in free_axes(op)]
    params = [f"{k}: {type(v).__name__} = {v!r}" for k, v in op.params.items()]
    types = {_DTYPE.get(name, name): name for name in unseen_types(op)}
    allowed = {ELEMENT: op.dtypes, **op.types}
    dtypes = [f"{said}: mx.Dtype = mx.{allowed[name][0]}" for said, name in types.items()]
    signature = ", ".join([*needed, *free, *optional, *params, *dtypes, "*, stream: Any = None"])
    numbers = {**{k: k for k in (*free_axes(op), *op.params)}, **types}
    given = ", ".join(f'"{number}": {said}' for said, number in numbers.items())
    result = "mx.array" if len(op.outputs) == 1 else "tuple[mx.array, ...]"
    shapes = "; ".join(f"{t.name}[{', '.join(map(str, t.shape))}]" for t in op.inputs)
    formula = " ".join(op.formula.split()).replace("\\", "\\\\").replace('"""', "'''")
    return [
        "",
        "",
        f"def {op.name}({signature}) -> {result}:",
        f'    """{formula}',
        "",
        f"    Shapes: {shapes}.",
        '    """',
        f'    return _run("{op.name}", ({", ".join(arrays)},), {{{given}}}, stream)',
    ]
