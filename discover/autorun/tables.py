"""Shapes of a recipe, by op: whether each is one of its op's. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from discover.entries import Fault
from foundry.errors import UsageError
from ops import registry
from ops.declaring.cases import at_shapes

Shapes = tuple[dict[str, int], ...]
"""Sizes of an op's axes, several times."""


def misshapen(table: Mapping[str, Shapes], dtypes: Collection[str]) -> Iterator[Fault]:
    """Shapes that an op does not have in one of the dtypes; ops that are none have no faults."""
    for name, shapes in table.items():
        if not shapes:
            yield (name,), "name at least one shape", shapes
        for place, sizes in enumerate(shapes):
            if why := _refusal(name, sizes, dtypes):
                yield (name, place), why, sizes


def _refusal(name: str, sizes: Mapping[str, int], dtypes: Collection[str]) -> str:
    """Why an op has no such sizes; empty where it has."""
    op = registry.all_ops().get(name)
    if op is None:
        return ""
    try:
        for dtype in [dtype for dtype in dtypes if dtype in op.dtypes] or op.dtypes:
            at_shapes(op, [sizes]).workloads("bench", dtype)
    except UsageError as error:
        return str(error)
    return ""
