"""Launch expressions: rewritten, or as text of a kernel's body.

In the body, axes become entries of an input's shape. A constant made from an axis would do too,
but costs a build for every size.
"""

from __future__ import annotations

import ast
import re

from foundry.kernel import Kernel, KernelLaunch, Triple
from ops.spec import Op
from ops.texts.expressions import Expression

_SIGNS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.FloorDiv: "/",
    ast.Mod: "%",
}


def in_body(expression: Expression, kernel: Kernel, launch: KernelLaunch, op: Op) -> str | None:
    """Unsigned arithmetic of the same value; None when an axis is no size of an input."""
    names = {name: f"uint({name})" for name, _ in launch.constants}
    readable = launch.inputs if launch.inputs is not None else tuple(t.name for t in op.inputs)
    for tensor in op.inputs:
        if tensor.name in readable:
            for place, dimension in enumerate(tensor.shape):
                if isinstance(dimension, str) and dimension in op.axis_names:
                    names.setdefault(dimension, f"uint({tensor.name}_shape[{place}])")
    return _text(ast.parse(str(expression), mode="eval").body, names)


def swap(triple: Triple, number: int, new: int) -> Triple:
    """Sizes of a launch with one literal number replaced wherever it stands."""
    x, y, z = (swap_number(expression, number, new) for expression in triple)
    return (x, y, z)


def swap_number(value: Expression, number: int, new: int) -> Expression:
    """An expression with one literal number replaced."""
    if isinstance(value, int):
        return new if value == number else value
    return re.sub(rf"\b{number}\b", str(new), value)


def _text(node: ast.expr, names: dict[str, str]) -> str | None:
    match node:
        case ast.Constant(value=int() as number):
            return f"{number}u"
        case ast.Name(id=name):
            return names.get(name)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _SIGNS:
            parts = _texts([left, right], names)
            return f"({parts[0]} {_SIGNS[type(op)]} {parts[1]})" if parts else None
        case ast.Call(func=ast.Name(id="ceildiv"), args=args):
            parts = _texts(args, names)
            return f"(({parts[0]} + {parts[1]} - 1u) / {parts[1]})" if parts else None
        case ast.Call(func=ast.Name(id=function), args=[first, *rest]):
            folded = _text(first, names)
            for argument in rest:
                part = _text(argument, names)
                folded = f"{function}({folded}, {part})" if folded and part else None
            return folded
    return None


def _texts(nodes: list[ast.expr], names: dict[str, str]) -> list[str] | None:
    parts = [_text(node, names) for node in nodes]
    return [part for part in parts if part is not None] if None not in parts else None
