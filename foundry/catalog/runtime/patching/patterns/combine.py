"""The weighted sum of what experts gave, by `moe_combine`: found by the form of the layer."""

from __future__ import annotations

from dataclasses import replace
from types import FunctionType

from ..pattern import Call, ModelPattern, Serving
from .experts_layer import experts_layer


def _swap(kind: type, call: FunctionType, serving: Serving) -> Call | None:
    layer = experts_layer(call, serving)
    return None if layer is None else replace(layer, combines=True).call


PATTERN = ModelPattern("moe_combine", "fast", ("moe_combine",), _swap)
