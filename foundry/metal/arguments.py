"""What a caller binds to a kernel, against what the kernel takes.

Arrays are used in place. Numbers, and bytes for an argument struct, become memory of their own with
the types that the compiler tells of the parameter. What does not fit is an error that names the
buffer, what was given and what would be right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundry.errors import UsageError, unknown
from foundry.metal.facts import Fact
from foundry.metal.reading.parameters import FunctionParameter
from ops.dtypes import DTYPE_BYTES, numpy_dtype

Argument = NDArray[Any] | bytes | bytearray | bool | int | float | Sequence[float] | np.generic
_BYTES = {"int8", "uint8"}
"""Pointers to these are pointers to anything: `device const char*`."""


@dataclass(frozen=True)
class Bound:
    """A buffer of a launch."""

    parameter: FunctionParameter
    fact: Fact
    array: NDArray[Any]

    @property
    def name(self) -> str:
        """Of the parameter."""
        return self.parameter.name


def bind(
    function: str,
    parameters: Sequence[FunctionParameter],
    facts: Sequence[Fact],
    given: Mapping[str | int, Argument] | Sequence[Argument],
) -> list[Bound]:
    """The buffers of a launch in the order of the parameters.

    Args:
        function: The kernel's name, for messages.
        parameters: In buffers.
        facts: What the kernel tells of each.
        given: By name or by index; in a sequence by index, in order.

    Raises:
        UsageError: A buffer that is missing, unknown, or does not fit.
    """
    by_name = {p.name: fact for p, fact in zip(parameters, facts, strict=True)}
    names = {fact.index: name for name, fact in by_name.items()}
    values = _by_name(function, given, names, by_name)
    bound = []
    for parameter, fact in zip(parameters, facts, strict=True):
        value = values.get(parameter.name)
        if not fact.is_present:
            value = b""  # the function constants say that it is not there
        elif value is None:
            raise UsageError(
                f"'{function}' takes buffer {fact.index}, '{parameter.name}', which is not given"
            )
        array = _array(function, parameter, fact, value)
        bound.append(Bound(parameter, fact, array))
    _check_overlap(function, bound)
    return bound


def _by_name(
    function: str,
    given: Mapping[str | int, Argument] | Sequence[Argument],
    names: Mapping[int, str],
    facts: Mapping[str, Fact],
) -> dict[str, Argument]:
    if not isinstance(given, Mapping):
        indices = sorted(n for n, name in names.items() if facts[name].is_present)
        if len(given) != len(indices):
            raise UsageError(
                f"'{function}' takes {len(indices)} buffers"
                f" ({', '.join(names[n] for n in indices)}), not {len(given)}"
            )
        return {names[n]: value for n, value in zip(indices, given, strict=True)}
    values: dict[str, Argument] = {}
    for key, value in given.items():
        name = names.get(key) if isinstance(key, int) else key
        if name is None or name not in facts:
            kind = "buffer index" if isinstance(key, int) else "buffer"
            known = [str(n) for n in names] if isinstance(key, int) else list(facts)
            raise unknown(f"{kind} of '{function}':", str(key), known)
        if name in values:
            raise UsageError(f"buffer '{name}' of '{function}' is given twice")
        values[name] = value
    return values


def _array(
    function: str, parameter: FunctionParameter, fact: Fact, value: Argument
) -> NDArray[Any]:
    where = f"buffer '{parameter.name}' of '{function}'"
    if isinstance(value, bytes | bytearray):
        array: NDArray[Any] = np.frombuffer(bytes(value), np.uint8).copy()
    elif isinstance(value, np.ndarray):
        array = value
        _check_array(where, parameter, fact, array)
    else:
        array = _numbers(where, fact, value)
    made = not isinstance(value, np.ndarray)
    if made and not parameter.is_const and fact.is_present:
        raise UsageError(f"{where} may be written: give a NumPy array")
    if fact.is_present and parameter.sign == "&" and array.nbytes < fact.bytes:
        raise UsageError(
            f"{where} is {_named(parameter, fact)} of {fact.bytes} bytes: {array.nbytes} are given"
        )
    return array


def _check_array(where: str, parameter: FunctionParameter, fact: Fact, array: NDArray[Any]) -> None:
    if not array.flags.c_contiguous or not array.flags.aligned:
        raise UsageError(f"{where}: its elements do not follow one another; give a copy of it")
    if not parameter.is_const and not array.flags.writeable:
        raise UsageError(f"{where} may be written, and the array is read-only")
    if fact.dtype is None or fact.dtype in _BYTES or array.dtype.names or array.dtype.kind == "V":
        return
    wanted = numpy_dtype(fact.dtype) if fact.dtype in DTYPE_BYTES else None
    if wanted is not None and array.dtype != wanted:
        raise UsageError(
            f"{where} holds {fact.dtype.rstrip('_')}: give {wanted}, not {array.dtype}"
            f" (array.astype, or array.view where the bytes are meant)"
        )


def _numbers(where: str, fact: Fact, value: Any) -> NDArray[Any]:
    if fact.dtype is None or fact.dtype not in DTYPE_BYTES:
        raise UsageError(f"{where} is a struct: give its bytes, or a NumPy structured array")
    dtype = numpy_dtype(fact.dtype)
    try:
        numbers = np.array(value, dtype)
    except (OverflowError, TypeError, ValueError) as error:
        raise UsageError(f"{where} holds {fact.dtype}: {value!r} is none ({error})") from error
    if dtype.kind in "iu" and not np.array_equal(numbers, np.asarray(value)):
        raise UsageError(f"{where} holds {fact.dtype}: {value!r} is none")
    padded = np.zeros(-(-max(numbers.nbytes, fact.bytes) // dtype.itemsize), dtype)
    padded[: numbers.size] = numbers.reshape(-1)
    return padded


def _named(parameter: FunctionParameter, fact: Fact) -> str:
    kind = "a struct" if fact.is_struct else "a value"
    return f"{kind} '{parameter.type}'"


def _check_overlap(function: str, bound: Sequence[Bound]) -> None:
    """Refuse buffers that share memory in part: one array may be bound more than once."""
    for n, one in enumerate(bound):
        for other in bound[:n]:
            if one.parameter.is_const and other.parameter.is_const:
                continue
            if is_same(one.array, other.array) or not np.may_share_memory(one.array, other.array):
                continue
            raise UsageError(
                f"buffers '{other.name}' and '{one.name}' of '{function}' overlap in part"
            )


def is_same(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Whether two arrays are the same memory."""
    return bool(one.nbytes) and (one.ctypes.data, one.nbytes) == (other.ctypes.data, other.nbytes)
