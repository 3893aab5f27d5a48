"""Conditions between axes, solved for one of them: which sizes make `k <= cols` true."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ops.texts.expressions import evaluate, names_in


@dataclass(frozen=True)
class Solution:
    """Sizes of one axis for which a condition holds, all others being as they are."""

    name: str
    least: int = 0
    most: int | None = None
    multiple_of: int = 1
    divides: int | None = None
    """Every solution is a divisor of it."""


def solutions(condition: str, sizes: Mapping[str, int]) -> tuple[Solution, ...]:
    """One for each axis that a condition can be solved for; none where it is too complicated.

    Solved are `a <= E`, `a < E`, `a == E` and their mirror images, `a % E == 0` and `E % a == 0`,
    where E is any arithmetic without `a`, and each part of an `and`.

    Args:
        condition: As in `Op.constraints`.
        sizes: A size for every axis.
    """
    tree = ast.parse(condition.strip(), mode="eval").body
    return tuple(_solutions(tree, sizes))


def _solutions(node: ast.expr, sizes: Mapping[str, int]) -> Iterator[Solution]:
    match node:
        case ast.BoolOp(op=ast.And(), values=parts):
            for part in parts:
                yield from _solutions(part, sizes)
        case ast.Compare(
            left=ast.BinOp(left=a, op=ast.Mod(), right=b),
            ops=[ast.Eq()],
            comparators=[ast.Constant(value=0)],
        ):
            yield from _multiples(a, b, sizes)
        case ast.Compare(left=left, ops=[operator], comparators=[right]):
            yield from _bounds(left, operator, right, sizes)
            if type(operator) in _MIRRORED:
                yield from _bounds(right, _MIRRORED[type(operator)](), left, sizes)


_MIRRORED: Mapping[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.Gt,
    ast.LtE: ast.GtE,
    ast.Gt: ast.Lt,
    ast.GtE: ast.LtE,
    ast.Eq: ast.Eq,
}


def _multiples(a: ast.expr, b: ast.expr, sizes: Mapping[str, int]) -> Iterator[Solution]:
    if (name := _axis(a, b)) and (divisor := _size(b, sizes)) > 0:
        yield Solution(name, multiple_of=divisor)
    if name := _axis(b, a):
        yield Solution(name, least=1, divides=_size(a, sizes))


def _bounds(
    left: ast.expr, operator: ast.cmpop, right: ast.expr, sizes: Mapping[str, int]
) -> Iterator[Solution]:
    name = _axis(left, right)
    if name is None:
        return
    end = _size(right, sizes)
    match operator:
        case ast.LtE():
            yield Solution(name, most=end)
        case ast.Lt():
            yield Solution(name, most=end - 1)
        case ast.GtE():
            yield Solution(name, least=max(end, 0))
        case ast.Gt():
            yield Solution(name, least=max(end + 1, 0))
        case ast.Eq():
            yield Solution(name, least=max(end, 0), most=end)


def _axis(node: ast.expr, other: ast.expr) -> str | None:
    """The axis a side consists of, if the other side is free of it."""
    is_alone = isinstance(node, ast.Name) and node.id not in names_in(ast.unparse(other))
    return node.id if is_alone and isinstance(node, ast.Name) else None


def _size(node: ast.expr, sizes: Mapping[str, int]) -> int:
    return evaluate(ast.unparse(node), sizes)
