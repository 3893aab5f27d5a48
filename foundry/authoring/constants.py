"""Parts of an expression that are numbers alone: languages compute them as they read."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping

from foundry.errors import UsageError

FLOAT32_MAX = (2 - 2.0**-23) * 2.0**127
_BINARY: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.Pow: operator.pow,
}  # fmt: skip


def check_numbers(tree: ast.expr) -> float | None:
    """Refuse a part without a value, such as `1 / 0`.

    Returns:
        The value where the whole is such a part, None else.

    Raises:
        UsageError: A part that has no value, or none that float32 holds.
    """
    inner = [check_numbers(p) for p in ast.iter_child_nodes(tree) if isinstance(p, ast.expr)]
    match tree, inner:
        case ast.Constant(value=int() | float() as value), _:
            return float(value)
        case ast.UnaryOp(op=ast.USub()), [float() as value]:
            return -value
        case ast.BinOp(op=sign), [float() as left, float() as right]:
            return _value(tree, sign, left, right)
    return None


def _value(tree: ast.expr, sign: ast.operator, left: float, right: float) -> float:
    said = f"'{ast.unparse(tree)}'"
    try:
        value = _BINARY[type(sign)](left, right)
    except ArithmeticError as error:
        raise UsageError(f"{said} has no value ({error})") from error
    if not abs(value) <= FLOAT32_MAX:
        raise UsageError(f"{said} is beyond what float32 holds")
    return value
