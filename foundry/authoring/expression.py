"""Expressions over elements: read from text, written as NumPy, MLX and Metal, differentiated.

Numbers, names, `+ - * / **`, comparisons, and the functions of `FUNCTIONS`; in rows also `sum`,
`mean`, `max` and `min` of one argument. The text is parsed into Python's syntax tree and walked;
nothing is executed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce

from foundry.authoring.constants import FLOAT32_MAX, check_numbers
from foundry.errors import UsageError

Tree = ast.expr
_LONGEST = 2000
_DEEPEST = 100
_LARGEST = 4000
_MOST_POWER = 8
_GROWTH = 10
"""How many times as long as what a user may write a derivative may be."""


@dataclass(frozen=True)
class ElementFunction:
    """A function of elements in three languages; `{0}` and `{1}` stand for its arguments."""

    numpy: str
    mlx: str
    metal: str
    flops: int
    derivatives: tuple[str, ...] = ()
    """By each argument, over `a` and `b`; empty: it has none."""

    @property
    def arity(self) -> int:
        """How many arguments it takes."""
        return 1 + ("{1}" in self.metal) + ("{2}" in self.metal)

    def copies(self, at: int) -> int:
        """How often an argument stands in the text that has it most often."""
        return max(text.count(f"{{{at}}}") for text in (self.numpy, self.mlx, self.metal))


FUNCTIONS: Mapping[str, ElementFunction] = {
    "exp": ElementFunction("numpy.exp({0})", "mx.exp({0})", "exp({0})", 4, ("exp(a)",)),
    "log": ElementFunction("numpy.log({0})", "mx.log({0})", "log({0})", 4, ("1 / a",)),
    "sqrt": ElementFunction("numpy.sqrt({0})", "mx.sqrt({0})", "sqrt({0})", 4, ("0.5 * rsqrt(a)",)),
    "rsqrt": ElementFunction(
        "(1.0 / numpy.sqrt({0}))", "mx.rsqrt({0})", "rsqrt({0})", 4,
        ("-0.5 * rsqrt(a) / a",),
    ),
    "tanh": ElementFunction(
        "numpy.tanh({0})", "mx.tanh({0})", "tanh({0})", 4, ("1 - tanh(a) * tanh(a)",)
    ),
    "sigmoid": ElementFunction(
        "(1.0 / (1.0 + numpy.exp(-({0}))))", "mx.sigmoid({0})", "(1.0f / (1.0f + exp(-({0}))))", 6,
        ("sigmoid(a) * (1 - sigmoid(a))",),
    ),
    "softplus": ElementFunction(
        "numpy.logaddexp(0.0, {0})", "mx.logaddexp(mx.array(0.0), {0})",
        "(max({0}, 0.0f) + log_one_plus(exp(-abs({0}))))", 9, ("sigmoid(a)",),
    ),
    "log1p": ElementFunction(
        "numpy.log1p({0})", "mx.log1p({0})", "log_one_plus({0})", 5, ("1 / (1 + a)",)
    ),
    "sin": ElementFunction("numpy.sin({0})", "mx.sin({0})", "sin({0})", 4, ("cos(a)",)),
    "cos": ElementFunction("numpy.cos({0})", "mx.cos({0})", "cos({0})", 4, ("-sin(a)",)),
    "abs": ElementFunction(
        "numpy.abs({0})", "mx.abs({0})", "abs({0})", 1, ("where(a > 0, 1, where(a < 0, -1, 0))",)
    ),
    "square": ElementFunction(
        "numpy.square({0})", "mx.square({0})", "(({0}) * ({0}))", 1, ("2 * a",)
    ),
    "maximum": ElementFunction(
        "numpy.maximum({0}, {1})", "mx.maximum({0}, {1})", "max({0}, {1})", 1,
        ("where(a > b, 1, 0)", "where(a > b, 0, 1)"),
    ),
    "minimum": ElementFunction(
        "numpy.minimum({0}, {1})", "mx.minimum({0}, {1})", "min({0}, {1})", 1,
        ("where(a < b, 1, 0)", "where(a < b, 0, 1)"),
    ),
    "where": ElementFunction(
        "numpy.where({0}, {1}, {2})", "mx.where({0}, {1}, {2})", "(({0}) ? ({1}) : ({2}))", 1
    ),
}  # fmt: skip
REDUCTIONS = ("sum", "mean", "max", "min")
_BINARY: Mapping[type[ast.operator], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/",
}  # fmt: skip
_COMPARE: Mapping[type[ast.cmpop], str] = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip


def read(text: str, names: Iterable[str], *, reductions: bool = False) -> Tree:
    """The tree of an expression over some names.

    Raises:
        UsageError: Not such an expression; says which part.
    """
    return _read(text, names, reductions, 1)


def read_derivative(text: str, names: Iterable[str]) -> Tree:
    """The same of a derivative, which may be longer than what people write.

    Raises:
        UsageError: Not such an expression, or one that has grown beyond all use.
    """
    return _read(text, names, False, _GROWTH)


def _read(text: str, names: Iterable[str], reductions: bool, growth: int) -> Tree:
    if not isinstance(text, str):
        raise UsageError(f"an expression is text, not {text!r}")
    if len(text) > _LONGEST * growth:
        what = "an expression" if growth == 1 else "its derivative, or one of your own,"
        raise UsageError(f"{what} has at most {_LONGEST * growth} characters, not {len(text)}")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UsageError(f"'{_short(text)}' is no expression ({error})") from error
    deepest = _DEEPEST * (1 + (growth > 1))
    if _depth(tree) > deepest:
        raise UsageError(f"'{_short(text)}' is nested more than {deepest} deep; write it in parts")
    _check(tree, frozenset(names), reductions)
    check_numbers(tree)
    meant: Tree = _Meant().visit(tree)
    if _size(meant) > _LARGEST * growth:
        raise UsageError(
            f"'{_short(text)}' has more than {_LARGEST * growth} steps, powers and functions undone"
        )
    return meant


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def _depth(tree: Tree) -> int:
    """How deep a tree is, found without recursion."""
    depth, level = 0, [tree]
    while level:
        depth, level = depth + 1, [inner for node in level for inner in _parts(node)]
    return depth


def _size(tree: Tree) -> int:
    """How many steps a tree is where it is written down, each argument as often as it stands."""
    match tree:
        case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=int(power))):
            return power * (1 + _size(left))
        case ast.Call(func=ast.Name(id=name), args=arguments) if name in FUNCTIONS:
            function = FUNCTIONS[name]
            return 1 + sum(function.copies(at) * _size(a) for at, a in enumerate(arguments))
    return 1 + sum(map(_size, _parts(tree)))


def names_of(tree: Tree) -> set[str]:
    """Inputs, parameters and reductions that an expression names, functions too."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


class _Meant(ast.NodeTransformer):
    """Writes what every language takes alike.

    `log(1 + exp(a))` becomes `softplus(a)`: it overflows nowhere, and has a derivative. A
    comparison that stands for a number becomes 1.0 or 0.0: languages add truth values differently.
    """

    def visit_Compare(self, node: ast.Compare) -> Tree:
        """A comparison that is no condition."""
        self.generic_visit(node)
        return ast.Call(ast.Name("where"), [node, _number(1.0), _number(0.0)], [])

    def visit_Call(self, node: ast.Call) -> Tree:
        """A choice, a logarithm of one and an exponential, or any other call."""
        match node:
            case ast.Call(func=ast.Name(id="where"), args=[ast.Compare() as condition, *values]):
                self.generic_visit(condition)
                return ast.Call(node.func, [condition, *map(self.visit, values)], [])
        self.generic_visit(node)
        match node:
            case ast.Call(
                func=ast.Name(id="log"),
                args=[
                    ast.BinOp(
                        left=ast.Constant(value=1),
                        op=ast.Add(),
                        right=ast.Call(func=ast.Name(id="exp"), args=[inner]),
                    )
                    | ast.BinOp(
                        left=ast.Call(func=ast.Name(id="exp"), args=[inner]),
                        op=ast.Add(),
                        right=ast.Constant(value=1),
                    )
                ],
            ):
                return ast.Call(ast.Name("softplus"), [inner], [])
        return node


def _check(tree: Tree, names: frozenset[str], reductions: bool) -> None:
    match tree:
        case ast.Constant(value=bool()):
            pass
        case ast.Constant(value=int() | float() as value):
            if not abs(value) <= FLOAT32_MAX:
                raise UsageError(f"{_short(str(value))} is beyond what float32 holds")
            return None
        case ast.Name(id=name):
            if name not in names:
                known = ", ".join(sorted(names))
                raise UsageError(f"'{name}' is no input and no parameter; there are {known}")
            return None
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return _check(inner, names, reductions)
        case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=int(power))):
            if not 1 <= power <= _MOST_POWER:
                raise UsageError(f"a power is 1 to {_MOST_POWER}, not {power}; use exp and log")
            return _check(left, names, reductions)
        case ast.BinOp(op=ast.Pow()):
            raise UsageError(
                f"'{ast.unparse(tree)}': a power is a whole number from 1 to "
                f"{_MOST_POWER}; it may not stand otherwise, use exp and log"
            )
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _BINARY:
            _check(left, names, reductions)
            return _check(right, names, reductions)
        case ast.Compare(left=left, ops=[operator], comparators=[right]) if (
            type(operator) in _COMPARE
        ):
            _check(left, names, reductions)
            return _check(right, names, reductions)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            _check_call(name, len(arguments), reductions)
            for argument in arguments:
                _check(argument, names, reductions)
            return None
    raise UsageError(f"'{ast.unparse(tree)}' may not stand in an expression")


def _check_call(name: str, given: int, reductions: bool) -> None:
    if reductions and name in REDUCTIONS and given == 1:
        return
    if name not in FUNCTIONS:
        known = [*FUNCTIONS, *(REDUCTIONS if reductions else ())]
        raise UsageError(f"no function '{name}' of elements; there are {', '.join(known)}")
    if FUNCTIONS[name].arity != given:
        raise UsageError(f"{name} takes {FUNCTIONS[name].arity} arguments, not {given}")


def written(tree: Tree, language: str) -> str:
    """An expression without reductions as `numpy`, `mlx` or `metal` text."""

    def of(inner: Tree) -> str:
        return written(inner, language)

    match tree:
        case ast.Constant(value=int() | float() as value):
            return f"{float(value)!r}{'f' if language == 'metal' else ''}"
        case ast.Name(id=name):
            return name
        case ast.UnaryOp(operand=inner):
            return f"(-{of(inner)})"
        case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=int() as power)):
            return "(" + " * ".join([of(left)] * power) + ")"
        case ast.BinOp(left=left, op=operator, right=right):
            return f"({of(left)} {_BINARY[type(operator)]} {of(right)})"
        case ast.Compare(left=left, ops=[operator], comparators=[right]):
            return f"({of(left)} {_COMPARE[type(operator)]} {of(right)})"
        case ast.Call(func=ast.Name(id=name), args=arguments):
            text: str = getattr(FUNCTIONS[name], language)
            return text.format(*map(of, arguments))
    raise AssertionError(ast.dump(tree))


def flops(tree: Tree) -> int:
    """FLOPs of one element: 4 a transcendental function."""
    own = {ast.BinOp: 1, ast.Compare: 1, ast.UnaryOp: 0}.get(type(tree), 0)
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name):
        found = FUNCTIONS.get(tree.func.id)
        own = found.flops if found else 1
    return own + sum(flops(inner) for inner in _parts(tree))


def derivative(tree: Tree, name: str) -> Tree:
    """Derivative of an expression without reductions by a name; that of a comparison is 0."""
    match tree:
        case ast.Constant():
            return _number(0)
        case ast.Name(id=found):
            return _number(1 if found == name else 0)
        case ast.UnaryOp(operand=inner):
            return _times(_number(-1), derivative(inner, name))
        case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=int(power))):
            lower = left if power == 2 else ast.BinOp(left, ast.Pow(), ast.Constant(power - 1))
            outer = _number(1) if power == 1 else _times(_number(power), lower)
            return _times(outer, derivative(left, name))
        case ast.BinOp(left=left, op=operator, right=right):
            return _of_pair(left, operator, right, name)
        case ast.Call(func=ast.Name(id="where"), args=[condition, one, other]):
            return _simple_where(condition, derivative(one, name), derivative(other, name))
        case ast.Call(func=ast.Name(id=function), args=arguments):
            return _chained(function, arguments, name)
    raise AssertionError(ast.dump(tree))


def _of_pair(left: Tree, operator: ast.operator, right: Tree, name: str) -> Tree:
    by_left, by_right = derivative(left, name), derivative(right, name)
    match operator:
        case ast.Add():
            return _plus(by_left, by_right)
        case ast.Sub():
            return _plus(by_left, _times(_number(-1), by_right))
        case ast.Mult():
            return _plus(_times(by_left, right), _times(left, by_right))
        case _:
            square = ast.BinOp(right, ast.Pow(), ast.Constant(2))
            below = _times(_number(-1), _times(left, by_right))
            return _plus(_over(by_left, right), _over(below, square))


def _chained(function: str, arguments: list[Tree], name: str) -> Tree:
    terms = []
    for argument, text in zip(arguments, FUNCTIONS[function].derivatives, strict=True):
        outer = ast.parse(text, mode="eval").body
        inner = derivative(argument, name)
        terms.append(_times(_substituted(outer, dict(zip("ab", arguments, strict=False))), inner))
    return reduce(_plus, terms)


def _substituted(tree: Tree, values: Mapping[str, Tree]) -> Tree:
    class Put(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> Tree:
            return values.get(node.id, node)

        def visit_Call(self, node: ast.Call) -> Tree:
            node.args = [self.visit(argument) for argument in node.args]
            return node

    found: Tree = Put().visit(tree)
    return found


def _number(value: float) -> ast.Constant:
    return ast.Constant(value)


def _is(tree: Tree, value: float) -> bool:
    return isinstance(tree, ast.Constant) and tree.value == value


def _plus(a: Tree, b: Tree) -> Tree:
    if _is(a, 0):
        return b
    return a if _is(b, 0) else ast.BinOp(a, ast.Add(), b)


def _times(a: Tree, b: Tree) -> Tree:
    if _is(a, 0) or _is(b, 0):
        return _number(0)
    if _is(a, 1):
        return b
    return a if _is(b, 1) else ast.BinOp(a, ast.Mult(), b)


def _over(a: Tree, b: Tree) -> Tree:
    return a if _is(a, 0) else ast.BinOp(a, ast.Div(), b)


def _simple_where(condition: Tree, one: Tree, other: Tree) -> Tree:
    if _is(one, 0) and _is(other, 0):
        return one
    return ast.Call(ast.Name("where"), [condition, one, other], [])


def _parts(tree: Tree) -> list[Tree]:
    return [inner for inner in ast.iter_child_nodes(tree) if isinstance(inner, ast.expr)]
