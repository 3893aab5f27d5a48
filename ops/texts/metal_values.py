"""Metal expressions evaluated over NumPy arrays, with the arithmetic of C.

So that what a mask or a score says in Metal can be held against what it says in NumPy before any
kernel is built. Whole numbers have 32 bits and wrap, and divide towards zero, unlike in Python.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ops.errors import UsageError

Known = Mapping[str, Any]
_TOKEN = re.compile(
    r"\s*(?:(?P<number>0[xX][0-9a-fA-F]+[uU]?|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?[fFuU]?)"
    r"|(?P<name>[A-Za-z_]\w*)|(?P<sign><<|>>|<=|>=|==|!=|&&|\|\||[-+*/%<>&|^~!?:(),\[\]]))"
)
_BINARY: tuple[tuple[str, ...], ...] = (
    ("||",),
    ("&&",),
    ("|",),
    ("^",),
    ("&",),
    ("==", "!="),
    ("<", ">", "<=", ">="),
    ("<<", ">>"),
    ("+", "-"),
    ("*", "/", "%"),
)
"""From what binds least to what binds most."""
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    **{n: getattr(np, n) for n in ("abs", "exp", "exp2", "log", "log2", "sqrt", "sin", "cos")},
    **{n: getattr(np, n) for n in ("tan", "tanh", "sinh", "cosh", "floor", "ceil", "trunc")},
    "fabs": np.abs,
    "rint": np.rint,
    "round": lambda x: np.copysign(np.floor(np.abs(x) + 0.5), x),
    "sign": np.sign,
    "rsqrt": lambda x: 1.0 / np.sqrt(x),
    "pow": np.power,
    "min": np.minimum,
    "max": np.maximum,
    "fmin": np.minimum,
    "fmax": np.maximum,
    "atan2": np.arctan2,
    "fma": lambda a, b, c: a * b + c,
    "clamp": lambda x, low, high: np.minimum(np.maximum(x, low), high),
    "select": lambda a, b, c: np.where(c, b, a),
    "float": lambda x: np.asarray(x, np.float64),
    "int": lambda x: _converted(x, np.int32),
    "uint": lambda x: _converted(x, np.uint32),
    "bool": lambda x: np.asarray(x, bool),
}


def evaluate(text: str, known: Known, beyond: int = 0) -> Any:
    """The value of a Metal expression.

    Args:
        text: Comparisons, logic, arithmetic, `? :`, functions of Metal, `rows[place]`, which takes
            places of an array laid out flat.
        known: Values of the names, arrays that broadcast or rows that are indexed.
        beyond: What an array holds beyond its ends.

    Raises:
        UsageError: No expression, or a name or function that is not known.
    """
    with np.errstate(all="ignore"):
        return _Reader(text, known, beyond).whole()


def _converted(value: Any, dtype: type[np.integer[Any]]) -> Any:
    """A number as a whole one: a float out of its range gives its nearest end."""
    found = np.asarray(value)
    if found.dtype.kind != "f":
        return found.astype(dtype)
    ends = np.iinfo(dtype)
    return np.clip(np.nan_to_num(np.trunc(found), nan=0.0), ends.min, ends.max).astype(dtype)


def _divided(a: Any, b: Any) -> Any:
    if not (_is_whole(a) and _is_whole(b)):
        return np.divide(a, b)
    safe = np.where(np.equal(b, 0), 1, b)
    return np.trunc(np.divide(a, safe)).astype(np.result_type(a, b))


def _rest(a: Any, b: Any) -> Any:
    return a - _divided(a, b) * b


def _is_whole(value: Any) -> bool:
    return np.asarray(value).dtype.kind in "iub"


def _number(text: str) -> Any:
    if text[:2].lower() == "0x":
        value = int(text.rstrip("uU"), 16)
        return _unsigned(value) if text[-1] in "uU" or value >= 2**31 else value
    bare = text.rstrip("fFuU")
    if not bare.isdigit() or text[-1] in "fF":
        return float(bare)
    return _unsigned(int(bare)) if text[-1] in "uU" else int(bare)


def _unsigned(value: int) -> Any:
    return np.asarray(value, np.int64).astype(np.uint32)


def _plain(value: Any) -> Any:
    """A value as C promotes it: what is whole has 32 bits, truth values count as 0 and 1."""
    found = np.asarray(value)
    if found.dtype.kind not in "iub" or found.dtype == np.uint32:
        return found
    return found.astype(np.int32)


def _alike(operator: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """An operator whose whole operands are both unsigned where one of them is."""

    def of(a: Any, b: Any) -> Any:
        a, b = _plain(a), _plain(b)
        if _is_whole(a) and _is_whole(b) and np.uint32 in (a.dtype, b.dtype):
            a, b = a.astype(np.uint32), b.astype(np.uint32)
        return operator(a, b)

    return of


_ON_NUMBERS: Mapping[str, Callable[[Any, Any], Any]] = {
    "|": np.bitwise_or,
    "^": np.bitwise_xor,
    "&": np.bitwise_and,
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    ">": np.greater,
    "<=": np.less_equal,
    ">=": np.greater_equal,
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": _divided,
    "%": _rest,
}
_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "||": np.logical_or,
    "&&": np.logical_and,
    "<<": lambda a, b: np.left_shift(_plain(a), _plain(b).astype(_plain(a).dtype)),
    ">>": lambda a, b: np.right_shift(_plain(a), _plain(b).astype(_plain(a).dtype)),
    **{sign: _alike(operator) for sign, operator in _ON_NUMBERS.items()},
}


class _Reader:
    """Reads an expression once, from left to right, and computes as it goes."""

    def __init__(self, text: str, known: Known, beyond: int) -> None:
        self._text, self._known, self._beyond, self._at = text, known, beyond, 0

    def whole(self) -> Any:
        found = self._choice()
        if self._peek():
            raise self._refusal(f"'{self._peek()}' is not expected")
        return found

    def _refusal(self, what: str) -> UsageError:
        return UsageError(f"the Metal '{self._text.strip()}' is not read as an expression: {what}")

    def _match(self) -> re.Match[str] | None:
        return _TOKEN.match(self._text, self._at)

    def _peek(self) -> str:
        found = self._match()
        if found is None and self._text[self._at :].strip():
            raise self._refusal(f"'{self._text[self._at :].strip()[0]}' has no meaning here")
        return found[0].strip() if found else ""

    def _next(self) -> str:
        found = self._match()
        if found is None:
            raise self._refusal("it ends too early")
        self._at = found.end()
        return found[0].strip()

    def _expect(self, sign: str) -> None:
        if self._peek() != sign:
            raise self._refusal(f"'{sign}' is missing")
        self._next()

    def _choice(self) -> Any:
        condition = self._binary(0)
        if self._peek() != "?":
            return condition
        self._next()
        yes = self._choice()
        self._expect(":")
        return np.where(condition, yes, self._choice())

    def _binary(self, level: int) -> Any:
        if level == len(_BINARY):
            return self._unary()
        found = self._binary(level + 1)
        while self._peek() in _BINARY[level]:
            operator = _OPERATORS[self._next()]
            found = operator(found, self._binary(level + 1))
        return found

    def _unary(self) -> Any:
        match self._peek():
            case "-":
                self._next()
                return -_plain(self._unary())
            case "+":
                self._next()
                return self._unary()
            case "!":
                self._next()
                return np.logical_not(self._unary())
            case "~":
                self._next()
                return np.invert(self._unary())
        return self._indexed()

    def _indexed(self) -> Any:
        found = self._primary()
        while self._peek() == "[":
            self._next()
            place = np.asarray(self._choice())
            self._expect("]")
            found = self._picked(np.ravel(found), place)
        return found

    def _picked(self, flat: Any, place: Any) -> Any:
        beyond = np.asarray(self._beyond, flat.dtype)
        if not len(flat):
            return np.broadcast_to(beyond, place.shape)
        inside = (place >= 0) & (place < len(flat))
        return np.where(inside, flat[np.where(inside, place, 0)], beyond)

    def _primary(self) -> Any:
        match = self._match()
        token = self._next()
        if token == "(":
            found = self._choice()
            self._expect(")")
            return found
        if match is not None and match["number"]:
            return _number(token)
        if match is None or not match["name"]:
            raise self._refusal(f"'{token}' is not expected")
        if self._peek() == "(":
            return self._called(token)
        return self._named(token)

    def _named(self, name: str) -> Any:
        constants = {"true": True, "false": False, "INFINITY": np.inf, "M_PI_F": np.pi}
        if name in constants:
            return constants[name]
        if name not in self._known:
            raise self._refusal(f"'{name}' is none of {', '.join(self._known)}")
        return self._known[name]

    def _called(self, name: str) -> Any:
        if name not in _FUNCTIONS:
            raise self._refusal(f"'{name}' is none of the functions {', '.join(_FUNCTIONS)}")
        self._expect("(")
        given = [self._choice()]
        while self._peek() == ",":
            self._next()
            given.append(self._choice())
        self._expect(")")
        return _FUNCTIONS[name](*given)
