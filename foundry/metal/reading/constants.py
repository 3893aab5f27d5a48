"""Function constants (MSL 5.8): values that the host gives when it takes a function from a library.

`constant bool has_bias [[function_constant(0)]];` becomes an ordinary constant with the value that
was given. One without a value is zero, and `is_function_constant_defined` says that it has none; a
function that uses such a constant without asking is refused, as Metal would refuse to make it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from foundry.errors import UsageError, unknown
from foundry.metal.reading import slots
from foundry.metal.reading.attributes import attributes_in
from foundry.metal.reading.declarations import Declaration
from foundry.metal.reading.functions import spaced
from foundry.msl.frontend.refusals.refusal import Refused

Scalar = bool | int | float
Value = Scalar | Sequence[Scalar]
_ASKED = "is_function_constant_defined"
_TYPE = re.compile(
    r"(?:metal::)?(?P<scalar>bool|u?char|u?short|u?int|u?long|half|bfloat|float"
    r"|u?int(?:8|16|32|64)_t|size_t)(?P<count>[234])?"
)
_SPECIFIERS = {"constant", "const", "static", "constexpr", "inline", "extern"}
_BITS = {"char": 8, "short": 16, "int": 32, "long": 64, "size_t": 64}


@dataclass(frozen=True)
class FunctionConstant:
    """One that a file declares."""

    name: str
    index: str
    """As the file has it: a number, or an expression."""
    type: str
    declaration: Declaration

    def text(self, value: Value | None, *, judged: bool) -> str:
        """Its declaration with a value.

        Args:
            value: What the host gave; None for nothing.
            judged: For the pass that reads a file as Metal would, where the value is not known.
        """
        if judged:
            return f"extern constant {self.type} {self.name};"
        given = "" if value is None else self.literal(value)
        return f"constant {self.type} {self.name} = {self.type}({given});"

    def literal(self, value: Value) -> str:
        """A value in C++, one number or those of a vector.

        Raises:
            UsageError: A value that the type does not hold.
        """
        match = _TYPE.fullmatch(self.type)
        assert match is not None  # looked at when the file was read
        count = int(match["count"] or 1)
        if isinstance(value, bool | int | float | np.generic):
            value = [value] * count
        if len(value) != count:
            raise UsageError(
                f"function constant '{self.name}' is a {self.type}: it takes {count} values, not"
                f" {len(value)}"
            )
        return ", ".join(self._scalar(match["scalar"], one) for one in value)

    def _scalar(self, kind: str, value: Scalar) -> str:
        number = value.item() if isinstance(value, np.generic) else value
        if kind == "bool" and number in (0, 1):
            return "true" if number else "false"
        if kind in {"half", "bfloat", "float"}:
            return _float(float(number))
        if kind != "bool" and int(number) == number and _fits(kind, int(number)):
            return f"{kind}({int(number)}{'ul' if number >= 1 << 63 else 'l'})"
        raise UsageError(f"function constant '{self.name}' is a {self.type}: {value!r} is none")


def _float(number: float) -> str:
    if number != number:
        return "NAN"
    if number in (float("inf"), float("-inf")):
        return f"{'-' if number < 0 else ''}INFINITY"
    return f"{float(number).hex()}"


def _fits(kind: str, number: int) -> bool:
    found = re.search(r"\d+", kind)
    bits = int(found[0]) if found else _BITS[kind.removeprefix("u")]
    if kind.startswith(("u", "size_t")):
        return 0 <= number < 1 << bits
    return -(1 << (bits - 1)) <= number < 1 << (bits - 1)


def constants_of(found: Sequence[Declaration]) -> dict[str, FunctionConstant]:
    """The function constants of a file by name.

    Raises:
        Refused: One of a type that Metal does not take, or a question about what is none.
    """
    constants = {}
    for one in found:
        is_variable = one.body is None and one.parentheses is None and one.head[0] != "template"
        if is_variable and "function_constant" in one.words:
            constant = _constant(one)
            constants[constant.name] = constant
    for one in found:
        _check_asked(one, constants)
    return constants


def _check_asked(one: Declaration, constants: Collection[str]) -> None:
    """Refuse `is_function_constant_defined` of anything else.

    Raises:
        Refused: With the line of the declaration.
    """
    for name in _asked(one):
        if name not in constants:
            reason = f"'{name}' is no function constant: {_ASKED} takes one"
            raise Refused("header", one.line, reason)


def _constant(one: Declaration) -> FunctionConstant:
    if "constant" not in one.head:
        said = "a function constant must reside in constant address space"
        raise Refused("header", one.line, said)
    code = one.code
    at = next(n for n in range(one.first, one.last) if code.text[n : n + 2] == ["[", "["])
    index = attributes_in(code, at + 2, code.partner[at] - 1).get("function_constant", "")
    words = [t for t in code.text[one.first : at - 1] if t not in _SPECIFIERS]
    type_name = spaced(words)
    if reason := _reason_against(one, code.partner[at], type_name, index):
        raise Refused("header", one.line, reason)
    return FunctionConstant(code.text[at - 1], index, type_name, one)


def _reason_against(one: Declaration, end: int, type_name: str, index: str) -> str | None:
    if not _TYPE.fullmatch(type_name):
        return f"a function constant is a scalar or a vector, not '{type_name}'"
    if one.code.text[end + 1] == "=":
        return "a function constant has no initialiser: its value comes from the host"
    return slots.reason_against("function_constant", index)


def given(
    constants: Mapping[str, FunctionConstant], values: Mapping[str | int, Value]
) -> dict[str, Value]:
    """The values that a host gives, by the names of the constants.

    Raises:
        UsageError: A name or an index that the file does not declare.
    """
    by_index: dict[str | int, list[str]] = {}
    for constant in constants.values():
        by_index.setdefault(_index(constant), []).append(constant.name)
    result = {}
    for key, value in values.items():
        names = by_index.get(key, []) if isinstance(key, int) else [key] * (key in constants)
        if not names:
            known = [*constants, *map(str, by_index)] if isinstance(key, int) else constants
            raise unknown("function constant", str(key), known)
        for name in names:
            constants[name].literal(value)
            result[name] = value
    return result


def _index(constant: FunctionConstant) -> str | int:
    number = slots.number(constant.index)
    return constant.index if number is None else number


def missing(
    constants: Mapping[str, FunctionConstant],
    values: Mapping[str, Value],
    used: Sequence[Declaration],
) -> list[str]:
    """Constants that declarations use, have no value, and are never asked for."""
    asked = {name for one in used for name in _asked(one)}
    words = frozenset().union(*(one.words for one in used)) if used else frozenset()
    return [n for n in constants if n in words and n not in values and n not in asked]


def _asked(one: Declaration) -> list[str]:
    text = one.code.text
    places = [n for n in range(one.first, one.last) if text[n] == _ASKED]
    return [_name_in(one, n + 1) for n in places if text[n + 1] == "("]


def _name_in(one: Declaration, opening: int) -> str:
    """The constant that is asked about: `a` of `((n::a))`."""
    at = one.code.partner[opening] - 1
    while one.code.text[at] == ")":
        at -= 1
    return one.code.text[at]


def answers(one: Declaration, values: Mapping[str, Value]) -> dict[int, str]:
    """What takes the place of the questions in a declaration, by token."""
    code = one.code
    result: dict[int, str] = {}
    for at in range(one.first, one.last + 1):
        if code.text[at] == _ASKED and code.text[at + 1] == "(":
            end = code.partner[at + 1]
            answer = "true" if _name_in(one, at + 1) in values else "false"
            result |= {at: answer} | dict.fromkeys(range(at + 1, end + 1), "")
    return result
