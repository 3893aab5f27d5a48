"""Arithmetic over axis names: the only expressions a kernel file, a template or an op may hold.

Integers, names, `+ - * // %`, `min`, `max`, `ceildiv`; conditions add comparisons, `and`, `or`,
`not`. The text is parsed into Python's syntax tree and walked; nothing is ever executed.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import operator
from collections.abc import Callable, Mapping
from itertools import pairwise

Expression = int | str

_MAX_LENGTH = 4000
_BINARY: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_COMPARE: dict[type[ast.cmpop], Callable[[int, int], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_FUNCTIONS: dict[str, Callable[..., int]] = {
    "min": min,
    "max": max,
    "ceildiv": lambda a, b: -(-a // b),
}


class ExpressionError(ValueError):
    """The text is not plain arithmetic, names something unknown, or divides by zero."""


def evaluate(text: Expression, names: Mapping[str, int]) -> int:
    """Value of an arithmetic expression.

    Args:
        text: An integer, or text such as `"ceildiv(cols, 1024) * 32"`.
        names: Values of the names the expression may use.

    Raises:
        ExpressionError: Not plain arithmetic, an unknown name, or a division by zero.
    """
    if isinstance(text, int):
        return text
    if text in names:  # most dimensions are an axis, and nothing need be read
        return int(names[text])
    try:
        return _value(_parse(text), names)
    except ZeroDivisionError:
        raise ExpressionError(f"'{text}' divides by zero") from None


def holds(text: str, names: Mapping[str, int]) -> bool:
    """Truth of a condition such as `"tile_m * tile_n <= 1024 and threads % 32 == 0"`.

    Raises:
        ExpressionError: As `evaluate`.
    """
    try:
        return _truth(_parse(text), names)
    except ZeroDivisionError:
        raise ExpressionError(f"'{text}' divides by zero") from None


def names_in(text: Expression) -> frozenset[str]:
    """Names an expression refers to.

    Raises:
        ExpressionError: The text is not plain arithmetic or a condition over it.
    """
    return frozenset() if isinstance(text, int) else _names_in(text)


@functools.lru_cache(maxsize=1024)
def _names_in(text: str) -> frozenset[str]:
    tree = _parse(text)
    called = {id(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
    found = frozenset(
        n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in called
    )
    # A walk with every name set finds whatever is not arithmetic; a zero divisor is no fault yet.
    with contextlib.suppress(ZeroDivisionError):
        _truth(tree, dict.fromkeys(found, 1))
    return found


@functools.lru_cache(maxsize=1024)
def _parse(text: str) -> ast.expr:
    if len(text) > _MAX_LENGTH:
        raise ExpressionError(f"expression of {len(text)} characters; at most {_MAX_LENGTH}")
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ExpressionError(f"'{text}' is not plain arithmetic") from None


def _value(node: ast.expr, names: Mapping[str, int]) -> int:
    match node:
        case ast.Constant(value=int() as number) if not isinstance(number, bool):
            return number
        case ast.Name(id=name):
            if name not in names:
                raise ExpressionError(f"unknown name '{name}'; known: {', '.join(sorted(names))}")
            return int(names[name])
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _BINARY[type(op)](_value(left, names), _value(right, names))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, names)
        case ast.Call(func=ast.Name(id=function), args=args, keywords=[]):
            return _call(function, [_value(a, names) for a in args])
    raise ExpressionError(
        f"'{ast.unparse(node)}' is not plain arithmetic (+ - * // % min max ceildiv)"
    )


def _call(function: str, args: list[int]) -> int:
    if function not in _FUNCTIONS:
        raise ExpressionError(f"unknown function '{function}'; known: min, max, ceildiv")
    if len(args) < 2 or (function == "ceildiv" and len(args) != 2):
        raise ExpressionError(f"{function} takes two values, got {len(args)}")
    return _FUNCTIONS[function](*args)


def _truth(node: ast.expr, names: Mapping[str, int]) -> bool:
    match node:
        case ast.Compare(left=left, ops=ops, comparators=rights) if all(
            type(op) in _COMPARE for op in ops
        ):
            values = [_value(v, names) for v in (left, *rights)]
            pairs = zip(ops, pairwise(values), strict=True)
            return all(_COMPARE[type(op)](a, b) for op, (a, b) in pairs)
        case ast.BoolOp(op=ast.And(), values=parts):
            # Every part is walked, so that a fault in a later part is always found.
            truths = [_truth(p, names) for p in parts]
            return all(truths)
        case ast.BoolOp(op=ast.Or(), values=parts):
            truths = [_truth(p, names) for p in parts]
            return any(truths)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not _truth(operand, names)
    return _value(node, names) != 0
