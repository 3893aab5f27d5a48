"""Templates of a family: one text that renders every op that its family function made.

Beside its knobs, the text of such a template knows the op as `op`: `op.name`, the names of
`op.inputs` and `op.outputs`, `op.types` of outputs and `op.params` in Metal's words, and
`op.metal`, the expressions that make the op a member of its family (`Op.metal`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ops.spec import Op
from ops.workload import param_dtype
from templates.template import Template, Value

_METAL_TYPES = {"float32": "float", "int32": "int", "bool_": "bool"}


@dataclass(frozen=True)
class FamilyTemplate:
    """Metal text with holes for every op of a family."""

    stem: str
    """Name of its files; bound to `relu` the template `elements` is `relu_elements`."""
    family: str
    summary: str
    knobs: Mapping[str, tuple[Value, ...]]
    uses: Mapping[str, str]
    """Knobs that only members have whose Metal calls a function: `{"fast_exp": "exp"}`."""
    constraints: tuple[str, ...]
    source: str
    start: bool = False

    def renders(self, op: Op) -> bool:
        """Whether an op is a member of the family, or of another one and of this form."""
        return bool(op.metal) and op.metal.get("form", op.family) == self.family

    def bind(self, op: Op) -> Template:
        """The template of one member."""
        return Template(
            name=f"{op.name}_{self.stem}",
            op=op.name,
            summary=self.summary,
            knobs=MappingProxyType({k: v for k, v in self.knobs.items() if self._has(op, k)}),
            constraints=self.constraints,
            source=self.source,
            start=self.start,
            family=self.family,
            member=_member(op),
        )

    def _has(self, op: Op, knob: str) -> bool:
        function = self.uses.get(knob)
        if function is None:
            return True
        call = re.compile(rf"\b{re.escape(function)}\s*\(")
        return any(call.search(text) for text in _texts(op.metal))


def _member(op: Op) -> Mapping[str, Any]:
    return MappingProxyType(
        {
            "name": op.name,
            "inputs": [tensor.name for tensor in op.inputs],
            "outputs": [tensor.name for tensor in op.outputs],
            "types": {tensor.name: _METAL_TYPES.get(tensor.dtype, "T") for tensor in op.outputs},
            "params": {n: _METAL_TYPES[param_dtype(v)] for n, v in op.params.items()},
            "metal": op.metal,
        }
    )


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case Mapping():
            for inner in value.values():
                yield from _texts(inner)
        case tuple() | list():
            for inner in value:
                yield from _texts(inner)
