"""The template: Metal text with holes, and the knobs that fill them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ops.texts.expressions import holds

Value = int | str | bool


@dataclass(frozen=True)
class Template:
    """Metal text with holes for one op, and the values that may fill them."""

    name: str
    op: str
    summary: str
    knobs: Mapping[str, tuple[Value, ...]]
    """Ordered values of each knob; the first of each is the default."""
    constraints: tuple[str, ...]
    """Conditions over integer and boolean knobs that every valid point meets."""
    source: str
    """jinja2 text of a kernel file."""
    start: bool = False
    """Whether a search of the op starts here: the plain first version."""
    family: str = ""
    """The family of ops that the text renders; empty: this op alone."""
    member: Mapping[str, Any] = field(default_factory=dict)
    """What a text for a family knows of the op, as `op`."""

    def __hash__(self) -> int:
        return hash((self.name, self.source))

    def broken_constraint(self, values: Mapping[str, Value]) -> str | None:
        """The first constraint that the values do not meet, or None."""
        numbers = {name: int(v) for name, v in values.items() if not isinstance(v, str)}
        return next((c for c in self.constraints if not holds(c, numbers)), None)
