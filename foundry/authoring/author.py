"""What an author calls: `elementwise`, `rowwise`, `map_reduce`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from foundry.authoring.function import AuthoredFunction
from foundry.authoring.keeping import kept
from foundry.authoring.op_text import (
    Authored,
    check,
    derived,
    elementwise_text,
    numbers,
    rows_text,
)
from foundry.errors import UsageError

Reduction = Literal["sum", "max", "min", "mean"]
Grad = bool | Mapping[str, str]


def elementwise(
    expression: str,
    inputs: Sequence[str] = ("x",),
    params: Mapping[str, float] | None = None,
    grad: Grad = True,
) -> AuthoredFunction:
    """A function of the elements at one place: `x * tanh(log(1 + exp(x)))`.

    Args:
        expression: Numbers, names, `+ - * / **`, comparisons, and the functions of elements.
        inputs: Names of the arrays, in the order in which they are given.
        params: Numbers by name, with their values.
        grad: True: the gradient is derived and has a kernel too. A mapping from inputs to
            expressions over inputs and `dout`: your own. False: MLX differentiates its expression.

    Raises:
        UsageError: No such expression; says which part.
    """
    authored = Authored(expression, _names(inputs), numbers(params))
    check(authored)
    if places := [text for text in authored.inputs if "[" in text]:
        raise UsageError(
            f"'{places[0]}': elements have no rows and columns; write it without [...]"
        )
    if not isinstance(grad, bool | Mapping):
        raise UsageError(f"grad is {grad!r}; give True, False, or an expression for each input")
    if grad is not False:
        gradients = derived(authored) if grad is True else dict(grad)
        if set(gradients) != set(authored.names):
            raise UsageError(f"grad needs an expression for each of {', '.join(authored.names)}")
        authored = replace(authored, gradients=gradients, is_gradient_given=grad is not True)
        check(authored)
    return AuthoredFunction(authored, kept(elementwise_text(authored), authored.name))


def rowwise(
    expression: str,
    inputs: Sequence[str] = ("x",),
    params: Mapping[str, float] | None = None,
) -> AuthoredFunction:
    """A function of rows: `exp(x - max(x)) / sum(exp(x - max(x)))`.

    Args:
        expression: As in `elementwise`, with `sum`, `mean`, `max` and `min` over a row.
        inputs: The first has rows; others too, or `weight[cols]`, `scale[rows]`.
        params: Numbers by name, with their values.

    Raises:
        UsageError: No such expression; says which part.
    """
    return _of_rows(Authored(expression, _names(inputs), numbers(params), "rowwise"))


def map_reduce(
    expression: str,
    reduction: Reduction = "sum",
    inputs: Sequence[str] = ("x",),
    params: Mapping[str, float] | None = None,
) -> AuthoredFunction:
    """One number of each row: the sum, largest, least or mean of an expression of its elements.

    Args:
        expression: Of the elements, as in `elementwise`.
        reduction: `sum`, `mean`, `max` or `min`.
        inputs: As in `rowwise`.
        params: Numbers by name, with their values.

    Raises:
        UsageError: No such expression or reduction; says which part.
    """
    if reduction not in ("sum", "max", "min", "mean"):
        raise UsageError(f"reduction is '{reduction}'; give sum, mean, max or min")
    given = Authored(expression, _names(inputs), numbers(params), "map_reduce", reduction)
    return _of_rows(given)


def _names(inputs: object) -> tuple[str, ...]:
    if isinstance(inputs, str):
        return (inputs,)
    if not isinstance(inputs, Sequence) or not all(isinstance(name, str) for name in inputs):
        raise UsageError(f"inputs is {inputs!r}; give the names of the arrays, as ('x', 'y')")
    return tuple(inputs)


def _of_rows(authored: Authored) -> AuthoredFunction:
    check(authored)
    if "[" in authored.inputs[0]:
        raise UsageError("the first input has rows and columns; write it without [...]")
    return AuthoredFunction(authored, kept(rows_text(authored), authored.name))
