"""Short forms for the case sets of an op, and the odd shapes every row-wise op is held to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ops.errors import UsageError
from ops.parameters import Range, Scalar
from ops.spec import Op
from ops.workload import Case


def cases(axes: str, *sizes: tuple[int, ...], **params: Scalar) -> tuple[Case, ...]:
    """Unlabelled cases that share parameter values.

    Args:
        axes: Axis names, separated by spaces: `"rows cols"`.
        sizes: One tuple of sizes per case, in the order of `axes`.
        params: Parameter values of every case; a name left out keeps the op's default.

    Raises:
        ValueError: A tuple has not one size per axis.
    """
    return tuple(Case(dict(zip(axes.split(), s, strict=True)), params) for s in sizes)


def labelled(axes: str, label: str, *sizes: int, **params: Scalar) -> Case:
    """One case that says where its shape comes from, such as `llama-3.2-1b decode`.

    Raises:
        ValueError: There is not one size per axis.
    """
    return Case(dict(zip(axes.split(), sizes, strict=True)), params, label)


def at_shapes(op: Op, shapes: Sequence[Mapping[str, int]]) -> Op:
    """The op with these sizes of its axes as its bench cases; without any, as it is."""
    cases = (Case(dict(sizes), label=_shape_label(op, sizes)) for sizes in shapes)
    return replace(op, bench=tuple(cases), asked=True) if shapes else op


def _shape_label(op: Op, sizes: Mapping[str, int]) -> str:
    return " ".join(f"{axis} {sizes[axis]}" for axis in op.axis_names if axis in sizes)


ROWS_VISIBLE: tuple[Case, ...] = cases(
    "rows cols", (1, 1), (4, 64), (8, 128), (3, 100), (2, 1024), (1, 4096)
)
"""Shapes of a row-wise op that a proposer is shown."""

ROWS_HIDDEN: tuple[Case, ...] = cases(
    "rows cols",
    *((0, 64), (3, 0), (1, 2), (67, 1), (1, 31), (7, 33), (5, 127), (3, 257), (521, 3)),
    *((2, 769), (1, 1023), (2, 1025), (3, 2047), (129, 65), (1, 8209)),
)
"""Shapes it is not: empty, one, primes, powers of two give or take one, beyond every visible."""

CaseSets = tuple[tuple[Case, ...], tuple[Case, ...], tuple[Case, ...]]
"""Visible, hidden and bench cases."""
Values = Scalar | tuple[Scalar, ...]
"""A parameter of a family's member: its default, or the default and the other values of cases."""


def defaults(params: Mapping[str, Values]) -> dict[str, Scalar]:
    """The default of every parameter.

    Raises:
        UsageError: One has no value, or a value that is no number and no boolean.
    """
    return {name: found[0] for name, found in _choices(params).items()}


def ranges_of(params: Mapping[str, Values]) -> dict[str, Range]:
    """The range of every number: from the least to the largest value that cases take."""
    numbers = {
        n: v for n, v in _choices(params).items() if not any(isinstance(one, bool) for one in v)
    }
    return {name: Range(min(values), max(values), values) for name, values in numbers.items()}


def shown(cases: Iterable[Case], params: Mapping[str, Values]) -> tuple[Case, ...]:
    """Visible cases, with the values of each parameter but the last dealt out to them in turn.

    A parameter given by its default alone takes values around it as well, so that no kernel passes
    that has the default written into it; a switch takes both.
    """
    return _dealt(
        cases,
        {n: v if isinstance(v[0], bool) else v[:-1] or v for n, v in _choices(params).items()},
    )


def unshown(cases: Iterable[Case], params: Mapping[str, Values]) -> tuple[Case, ...]:
    """Hidden cases, with every value of each parameter dealt out to them in turn."""
    return _dealt(cases, _choices(params))


def _dealt(cases: Iterable[Case], choices: Mapping[str, tuple[Scalar, ...]]) -> tuple[Case, ...]:
    return tuple(
        replace(case, params={n: found[at % len(found)] for n, found in choices.items()})
        for at, case in enumerate(cases)
    )


def _choices(params: Mapping[str, Values]) -> dict[str, tuple[Scalar, ...]]:
    if not isinstance(params, Mapping):
        raise UsageError(f"params is {params!r}, no dictionary; write params={{'alpha': 0.5}}")
    for name, values in params.items():
        every = values if isinstance(values, tuple) else (values,)
        if not every or not all(isinstance(value, Scalar) for value in every):
            raise UsageError(
                f"parameter '{name}' is {values!r}; give its default, or a tuple of the default "
                "and the other values of cases, all of them numbers"
            )
    return {name: _values(values) for name, values in params.items()}


def _values(values: Values) -> tuple[Scalar, ...]:
    match values:
        case tuple():
            return values
        case bool():
            return values, not values
        case int():
            return tuple(dict.fromkeys((values, values + 1, max(1, values // 2), 1, 3)))
        case _:
            return tuple(dict.fromkeys((values, values * 0.5, values + 0.25)))
