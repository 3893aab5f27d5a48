"""Metal expressions as MLX text: what a mask or a score says once holds for kernel and baseline.

Conditions and arithmetic of C are read; `&&`, `||` and `!` become `&`, `|` and `~` on arrays, and
functions those of MLX. Division of whole numbers becomes `//`.
"""

from __future__ import annotations

import ast
import re

from ops.errors import UsageError

_FUNCTIONS = {"abs": "abs", "max": "maximum", "min": "minimum", "pow": "power", "fabs": "abs"}
_CASTS = ("float", "int")


def as_mlx(text: str, *, whole: bool) -> str:
    """A Metal expression as MLX text over arrays.

    Args:
        text: Metal: comparisons, arithmetic, functions, `rows[place]` along the last axis.
        whole: Whether all numbers in it are whole, so that `/` rounds down.

    Raises:
        UsageError: It holds more than that.
    """
    python = re.sub(r"(?<=[\d.])f\b", "", text)
    python = python.replace("&&", " and ").replace("||", " or ")
    python = re.sub(r"!(?!=)", " not ", python)
    try:
        tree = ast.parse(python.strip(), mode="eval")
        return ast.unparse(ast.fix_missing_locations(_Arrays(whole).visit(tree)))
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"no MLX text follows from '{text}'; give it as mlx=") from error


class _Arrays(ast.NodeTransformer):
    """Python's logic and functions turned into those of MLX arrays."""

    def __init__(self, whole: bool) -> None:
        self._whole = whole

    def _of(self, node: ast.expr) -> ast.expr:
        found: ast.expr = self.visit(node)
        return found

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        first, *others = (self._of(value) for value in node.values)
        joint = ast.BitAnd() if isinstance(node.op, ast.And) else ast.BitOr()
        for other in others:
            first = ast.BinOp(first, joint, other)
        return first

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        operand = self._of(node.operand)
        if isinstance(node.op, ast.Not):
            return _call("logical_not", operand)
        return ast.UnaryOp(node.op, operand)

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        is_rounded = self._whole and isinstance(node.op, ast.Div)
        kind = ast.FloorDiv() if is_rounded else node.op
        return ast.BinOp(self._of(node.left), kind, self._of(node.right))

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        along = ast.keyword("axis", ast.Constant(-1))
        return _call("take", node.value, self._of(node.slice), along)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        arguments = [self._of(argument) for argument in node.args]
        if not isinstance(node.func, ast.Name):
            raise ValueError("a call of something that has no name")
        if node.func.id in _CASTS:
            return arguments[0]
        if node.func.id == "exp2":
            return _call("power", ast.Constant(2.0), *arguments)
        return _call(_FUNCTIONS.get(node.func.id, node.func.id), *arguments)


def _call(name: str, *arguments: ast.expr | ast.keyword) -> ast.Call:
    function = ast.Attribute(ast.Name("mx", ast.Load()), name, ast.Load())
    plain = [a for a in arguments if isinstance(a, ast.expr)]
    return ast.Call(function, plain, [a for a in arguments if isinstance(a, ast.keyword)])
