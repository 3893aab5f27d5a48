"""Metal expressions as MLX text: what a mask or a score says once holds for kernel and baseline.

Conditions and arithmetic of C are read; `&&`, `||` and `!` become `&`, `|` and `~` on arrays, `? :`
becomes `mx.where`, and functions those of MLX. Division of whole numbers becomes `//`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable

from ops.errors import UsageError

_FUNCTIONS = {"abs": "abs", "max": "maximum", "min": "minimum", "pow": "power", "fabs": "abs"}
_CASTS = ("float", "int")
_CONSTANTS = {
    "true": ast.Constant(True),
    "false": ast.Constant(False),
    "INFINITY": ast.Attribute(ast.Name("math", ast.Load()), "inf", ast.Load()),
    "M_PI_F": ast.Attribute(ast.Name("math", ast.Load()), "pi", ast.Load()),
}
_PLACES = frozenset({"q", "k", "h", "column"})
"""Names that are arrays of places."""


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
        tree = ast.parse(_with_where(python).strip(), mode="eval")
        return ast.unparse(ast.fix_missing_locations(_Arrays(whole).visit(tree)))
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"no MLX text follows from '{text}'; give it as mlx=") from error


def _with_where(text: str) -> str:
    """The text with calls of `where` for `? :`, which binds least of all."""
    parts = [_where_of(part) for part in _split(_within(text), ",")]
    return ",".join(parts)


def _within(text: str) -> str:
    """The text, what stands in brackets already done."""
    depth, start, done = 0, 0, ""
    for at, sign in enumerate(text):
        if sign in "([":
            done, start = (done + text[start : at + 1], at + 1) if depth == 0 else (done, start)
            depth += 1
        elif sign in ")]":
            depth -= 1
            if depth == 0:
                done, start = done + _with_where(text[start:at]), at
    return done + text[start:]


def _where_of(text: str) -> str:
    condition, *rest = _split(text, "?")
    if not rest:
        return text
    others = _split("?".join(rest), ":")
    # The colon that answers the first question has one before it for every question between.
    for n in range(1, len(others)):
        first, second = ":".join(others[:n]), ":".join(others[n:])
        if len(_split(first, "?")) == n:
            return f"where({condition}, {_where_of(first)}, {_where_of(second)})"
    raise ValueError("a question without a colon")


def _split(text: str, sign: str) -> list[str]:
    """The parts between signs that stand in no brackets."""
    depth, parts = 0, [""]
    for found in text:
        depth += (found in "([") - (found in ")]")
        if found == sign and depth == 0:
            parts.append("")
        else:
            parts[-1] += found
    return parts


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

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return _CONSTANTS.get(node.id, node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        along = ast.keyword("axis", ast.Constant(-1))
        place = self._of(node.slice)
        if not any(isinstance(n, ast.Name) and n.id in _PLACES for n in ast.walk(place)):
            # One place for all queries and keys, as an array of both.
            place = _call("full", ast.Tuple([ast.Constant(1), ast.Constant(1)], ast.Load()), place)
        return _call("take", node.value, place, along)

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


_OF_TWO_KINDS = (
    "exp exp2 exp10 log log2 log10 sin cos tan sinh cosh tanh asinh acosh atanh pow atan2"
)
_PLAIN_CALL = re.compile(rf"(?<![\w:.])({'|'.join(_OF_TWO_KINDS.split())})(?=\s*\()")
_ANY_PLAIN_CALL = re.compile(
    rf"(?<![\w:.])(?:metal\s*::\s*)?({'|'.join(_OF_TWO_KINDS.split())}|sincos)(?=\s*\()"
)


def with_precise_calls(text: str) -> str:
    """Metal text whose functions are as exact on a Mac as where they were proven.

    From macOS 15 on MLX sets the math mode alone, and leaves which functions the plain names are
    to Metal, where they are those of `fast::` (MTLLibrary.h: `mathFloatingPointFunctions`): its
    `tanh` is NaN beyond 44, its `sin` is undefined beyond pi.
    """
    return _in_code(text, lambda code: _PLAIN_CALL.sub(r"precise::\1", code))


def with_fast_calls(text: str) -> str:
    """Metal text whose plain names are what Metal takes them for there."""
    return _in_code(text, lambda code: _ANY_PLAIN_CALL.sub(r"metal::fast::\1", code))


def plain_calls(text: str) -> tuple[str, ...]:
    """Functions that a text calls by their plain names and that are of two kinds, in order."""
    found: dict[str, None] = {}

    def look(code: str) -> str:
        found.update(dict.fromkeys(_ANY_PLAIN_CALL.findall(code)))
        return code

    _in_code(text, look)
    return tuple(found)


def _in_code(text: str, change: Callable[[str], str]) -> str:
    """The text with its lines changed, comments left."""
    lines = (line.partition("//") for line in text.split("\n"))
    return "\n".join(f"{change(code)}{mark}{said}" for code, mark, said in lines)
