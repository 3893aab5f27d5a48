"""Of what kind the fields of a declared op are, so that a slip is met before a rule reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ops.axis import Axis
from ops.parameters import Range
from ops.spec import Op
from ops.workload import Case, Tensor

_CASES = (Case, "(Case({'rows': 4, 'cols': 64}),)")
_TUPLES: Mapping[str, tuple[type, str]] = {
    "axes": (Axis, "axes('rows cols')"),
    "inputs": (Tensor, "(Tensor('x', ('rows', 'cols')),)"),
    "outputs": (Tensor, "(Tensor('out', ('rows', 'cols')),)"),
    "visible": _CASES,
    "hidden": _CASES,
    "bench": _CASES,
    "constraints": (str, "('k <= cols',)"),
    "dtypes": (str, "('float32', 'float16')"),
}
_MAPPINGS: Mapping[str, tuple[type, str]] = {
    "baselines": (object, "{'plain': 'mx.exp(x)'}"),
    "params": (object, "{'eps': 1e-5}"),
    "ranges": (Range, "{'eps': Range(1e-12, 0.5)}"),
    "types": (tuple, "{'W': ('uint32', 'uint8')}"),
}


def mistyped(op: Op) -> Iterator[str]:
    """Every field that is of another kind than rules can read, in words, with one that is right."""
    for field, (kind, example) in _TUPLES.items():
        given = getattr(op, field)
        if not isinstance(given, tuple | list):
            yield f"{field} is {given!r}, no tuple; write {field}={example}"
            continue
        yield from _strangers(field, given, kind, example)
    for field, (kind, example) in _MAPPINGS.items():
        given = getattr(op, field)
        if not isinstance(given, Mapping):
            yield f"{field} is {given!r}, no dictionary; write {field}={example}"
            continue
        yield from _strangers(field, given.values(), kind, example)
    for part in (*_each(op.inputs), *_each(op.outputs), *_each(op.axes)):
        yield from _tensor(part) if isinstance(part, Tensor) else _axis(part)


def _each(given: object) -> tuple[object, ...]:
    return tuple(given) if isinstance(given, tuple | list) else ()


def _strangers(field: str, held: Iterable[object], kind: type, example: str) -> Iterator[str]:
    for value in held:
        if not isinstance(value, kind):
            yield f"{field}: {value!r} is no {kind.__name__}; write {field}={example}"


def _tensor(tensor: Tensor) -> Iterator[str]:
    if not isinstance(tensor.shape, tuple | list):
        yield f"shape of {tensor.name} is {tensor.shape!r}, no tuple; write ('rows', 'cols')"


def _axis(axis: object) -> Iterator[str]:
    if not isinstance(axis, Axis):
        return
    for field in ("multiple_of", "least", "tried_to"):
        if not isinstance(getattr(axis, field), int):
            yield f"axis '{axis.name}' has {field} {getattr(axis, field)!r}; give a whole number"
    sizes: object = axis.values
    if not isinstance(sizes, tuple | list) or not all(isinstance(size, int) for size in sizes):
        yield f"axis '{axis.name}' has values {axis.values!r}; give whole numbers: (64, 128)"
