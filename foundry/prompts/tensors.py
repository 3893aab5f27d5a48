"""A tensor in the words of a prompt."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ops.matches import Distribution, Exact, Set, Ties
from ops.workload import Tensor

_COMPARED: Mapping[type, str] = MappingProxyType(
    {
        Exact: ", exact",
        Ties: ", equal elements in any order",
        Set: ", its last axis in any order",
        Distribution: ", drawn at random",
    }
)


def described(tensor: Tensor) -> str:
    """A tensor as a proposer reads of it: name, shape, dtype, and what is special about it."""
    said = _COMPARED.get(type(tensor.match), "")
    held = f" ({words})" if tensor.fill and (words := tensor.fill.in_words()) else ""
    there = f", given where the constant {tensor.flag} is true" if tensor.optional else ""
    shape = ", ".join(map(str, tensor.shape))
    return f"{tensor.name}[{shape}] of {tensor.dtype}{held}{said}{there}"
